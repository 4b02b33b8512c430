package archive

// Limit makes a Writer keep to other limits than those of readers, which it
// takes gigabytes to reach.
func (w *Writer) Limit(l Limits) { w.limits = l.withDefaults() }
