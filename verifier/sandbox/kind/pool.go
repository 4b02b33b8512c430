package kind

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
)

// refill is how long the pool waits after a creation that failed before it tries
// again.
const refill = time.Minute

// Pool keeps sandboxes of one node image ready, each for one drill: the image that
// a drill asked for last. One that was taken is replaced in the background. None
// has an image provided or a way out opened: that is up to the Sandbox that takes
// it.
//
// What is ready uses memory and some processor time as any idle cluster does. One
// that died while it waited is not handed out.
type Pool struct {
	size   int
	first  Choice // to begin with, before any drill asked; may be of no use then
	start  func(context.Context, Choice) (*node, error)
	remove func(context.Context, *node) error
	failed func(error) // called with failures in the background; may be nil

	stop  context.CancelFunc
	ended chan struct{} // closed when the owner of the background work is gone
	asked chan struct{} // takes one: look again what there is to do

	mu    sync.Mutex
	image string // that a drill asked for last; "" before the first
	ready []*node
}

// NewPool starts to keep size sandboxes ready, and creates one after the other. If
// first chooses an image without a backup, it starts at once, otherwise with the
// first drill. It calls failed with each failure and retries after a minute. dir is as in Sandbox. Close must be called.
func NewPool(first Choice, dir string, size int, failed func(error)) *Pool {
	p := &Pool{size: size, first: first, failed: failed, remove: func(ctx context.Context, n *node) error { return n.remove(ctx) }}
	p.start = func(ctx context.Context, c Choice) (*node, error) {
		one := &Sandbox{Choice: c, Dir: dir}
		if _, err := one.Up(ctx); err != nil {
			return nil, err
		}
		return one.up, nil
	}
	return p.run()
}

func (p *Pool) run() *Pool {
	ctx, stop := context.WithCancel(context.Background())
	p.stop, p.ended, p.asked = stop, make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(p.ended)
		p.fill(ctx)
	}()
	return p
}

// fill makes and removes sandboxes until those are there that should be, and again
// when a drill has asked for one.
func (p *Pool) fill(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		for _, n := range p.cutUnwanted() {
			err = errors.Join(err, p.remove(ctx, n))
		}
		next, wanted := p.next()
		if !wanted && err == nil {
			select {
			case <-p.asked:
			case <-ctx.Done():
			}
			continue
		}
		if wanted {
			var n *node
			if n, err = p.start(ctx, next); err == nil {
				p.put(n)
				continue
			}
		}
		if ctx.Err() == nil && p.failed != nil {
			p.failed(err)
		}
		cluster.Sleep(ctx, refill)
	}
}

// next is what to make now.
func (p *Pool) next() (c Choice, wanted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) >= p.size {
		return Choice{}, false
	}
	if p.image != "" {
		return Choice{NodeImage: p.image}, true
	}
	known := p.first.NodeImage != "" || p.first.KubernetesVersion != "" && p.first.KubernetesVersion != SourceVersion
	return p.first, known
}

func (p *Pool) put(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, n)
	if p.image == "" {
		p.image = n.image
	}
}

// cutUnwanted takes those of other images out, to be removed.
func (p *Pool) cutUnwanted() (unwanted []*node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = slices.DeleteFunc(p.ready, func(n *node) bool {
		if n.image != p.image {
			unwanted = append(unwanted, n)
		}
		return n.image != p.image
	})
	return unwanted
}

// Ready is how many sandboxes wait to be taken.
func (p *Pool) Ready() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

// take returns a sandbox of the image that answers, nil if there is none. The caller
// has to remove it.
func (p *Pool) take(ctx context.Context, image string) *node {
	for {
		n := p.pop(image)
		if n == nil || n.answers(ctx) {
			return n
		}
		last, cancel := lasting(ctx)
		_ = p.remove(last, n) // it failed before anybody used it; Sweep gets what is left
		cancel()
	}
}

func (p *Pool) pop(image string) *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.image = image
	select {
	case p.asked <- struct{}{}:
	default: // is on its way already
	}
	i := slices.IndexFunc(p.ready, func(n *node) bool { return n.image == image })
	if i < 0 {
		return nil
	}
	n := p.ready[i]
	p.ready = slices.Delete(p.ready, i, i+1)
	return n
}

// answers reports whether a node still runs.
func (n *node) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	if n.died(ctx) != nil {
		return false
	}
	_, err := n.client.Version(ctx)
	return err == nil
}

// Close ends the background work, one creation that is in progress included, and
// removes the sandboxes that no one took.
func (p *Pool) Close(ctx context.Context) error {
	p.stop()
	<-p.ended
	ctx, cancel := lasting(ctx)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed []error
	for _, n := range p.ready {
		failed = append(failed, p.remove(ctx, n))
	}
	p.ready = nil
	return errors.Join(failed...)
}
