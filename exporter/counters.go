package exporter

// runs are the ends of runs that the sources tell of now.
func runs(State) []Run { return nil }
