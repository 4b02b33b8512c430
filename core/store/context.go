package store

import (
	"context"
	"io"
)

// ContextReader returns r with every Read preceded by a look at ctx: once ctx
// is done, Read gives its error. It does not interrupt a Read of r that is
// under way.
func ContextReader(ctx context.Context, r io.Reader) io.Reader {
	return contextReader{ctx: ctx, r: r}
}

// contextReader holds a context because io.Reader has no place for one; it
// lives as long as the call it was made for.
type contextReader struct {
	ctx context.Context //nolint:containedctx // see above
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
