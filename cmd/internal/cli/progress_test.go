package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatBeginsIsShownHoweverShortlyAfterTheLastLine(t *testing.T) {
	var out bytes.Buffer
	p := &Progress{w: &out}
	p.Show("item %d", 1)
	p.Show("item %d", 2)
	p.Stage("waiting for the cluster")
	assert.Equal(t, "\ritem 1\rwaiting for the cluster", out.String())
}
