package fact

// The values of the label operation of a probe.
const (
	ProbeList   = "list"
	ProbeGet    = "get"
	ProbePut    = "put"
	ProbeDelete = "delete"
)
