package bounding

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheBoundingSetSaysWhetherTheCapabilityIsThere(t *testing.T) {
	without, err := lacks("Name:\tx\nCapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000000\n")
	require.NoError(t, err)
	assert.True(t, without)
	with, err := lacks("CapBnd:\t000001ffffffffff\n")
	require.NoError(t, err)
	assert.False(t, with)
	for _, bad := range []string{"Name:\tx\n", "CapBnd:\tx\n", ""} {
		_, err = lacks(bad)
		assert.Error(t, err, "%q", bad)
	}
}
