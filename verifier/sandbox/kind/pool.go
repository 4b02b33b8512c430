package kind

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
)

// refill is how long the pool waits after a creation that failed before it tries
// again.
const refill = time.Minute

// Pool keeps sandboxes of one node image ready, each for one drill. One that was
// taken is replaced in the background. None has an image provided or a way out
// opened: that is up to the Sandbox that takes it.
//
// What is ready uses memory and some processor time as any idle cluster does. One
// that died while it waited is not handed out.
type Pool struct {
	start  func(context.Context) (*node, error)
	size   int
	failed func(error) // told of creations that failed; may be nil

	stop  context.CancelFunc
	ended chan struct{} // closed when the owner of the background work is gone
	taken chan struct{} // takes one: there is room again

	mu    sync.Mutex
	ready []*node
}

// NewPool starts to fill a pool of size sandboxes made as template says, one
// after the other. Creations that fail are reported to failed, and tried again
// after a minute. Close must be called.
func NewPool(template *Sandbox, size int, failed func(error)) *Pool {
	start := func(ctx context.Context) (*node, error) {
		one := &Sandbox{Choice: template.Choice, Dir: template.Dir}
		if _, err := one.Up(ctx); err != nil {
			return nil, err
		}
		return one.up, nil
	}
	return newPool(start, size, failed)
}

func newPool(start func(context.Context) (*node, error), size int, failed func(error)) *Pool {
	ctx, stop := context.WithCancel(context.Background())
	p := &Pool{start: start, size: size, failed: failed, stop: stop, ended: make(chan struct{}), taken: make(chan struct{}, 1)}
	go func() {
		defer close(p.ended)
		p.fill(ctx)
	}()
	return p
}

// fill makes sandboxes until there are enough, and again when some were taken.
func (p *Pool) fill(ctx context.Context) {
	for ctx.Err() == nil {
		if p.Ready() >= p.size {
			select {
			case <-p.taken:
			case <-ctx.Done():
			}
			continue
		}
		n, err := p.start(ctx)
		if err == nil {
			p.mu.Lock()
			p.ready = append(p.ready, n)
			p.mu.Unlock()
			continue
		}
		if ctx.Err() == nil && p.failed != nil {
			p.failed(err)
		}
		cluster.Sleep(ctx, refill)
	}
}

// Ready is how many sandboxes wait to be taken.
func (p *Pool) Ready() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

// take hands over a sandbox of the image that answers, nil if there is none. From
// then on it is the caller's to remove.
func (p *Pool) take(ctx context.Context, image string) *node {
	for {
		n := p.pop(image)
		if n == nil {
			return nil
		}
		if n.answers(ctx) {
			return n
		}
		ctx, cancel := lasting(ctx)
		_ = n.remove(ctx) // it failed before anybody used it; Sweep gets what is left
		cancel()
	}
}

func (p *Pool) pop(image string) *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, n := range p.ready {
		if n.image != image {
			continue
		}
		p.ready = append(p.ready[:i], p.ready[i+1:]...)
		select {
		case p.taken <- struct{}{}:
		default: // is on its way already
		}
		return n
	}
	return nil
}

// answers tells whether a node has lived until now.
func (n *node) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	if n.died(ctx) != nil {
		return false
	}
	_, err := n.client.Version(ctx)
	return err == nil
}

// Close ends the background work, one creation that is under way included, and
// removes the sandboxes that nobody took.
func (p *Pool) Close(ctx context.Context) error {
	p.stop()
	<-p.ended
	ctx, cancel := lasting(ctx)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed []error
	for _, n := range p.ready {
		failed = append(failed, n.remove(ctx))
	}
	p.ready = nil
	return errors.Join(failed...)
}
