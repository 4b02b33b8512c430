package state

// ClaimsEvery is how many readings of a location there are to one of its claims:
// a drill has half an hour, and its record may wait some minutes.
const ClaimsEvery = 5
