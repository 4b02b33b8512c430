package cli

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheMemoryLimitIsOursUnlessTheUserSetsOne(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)

	t.Setenv("GOMEMLIMIT", "off")
	LimitMemory()
	assert.Equal(t, before, debug.SetMemoryLimit(-1))

	t.Setenv("GOMEMLIMIT", "")
	LimitMemory()
	assert.EqualValues(t, 144<<20, debug.SetMemoryLimit(-1))
}
