package fact

// Boolean is 1 for true and 0 for false, as metrics have it.
func Boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
