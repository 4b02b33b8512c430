package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestALongLineIsCutInItsMiddle(t *testing.T) {
	line := "roles shop/" + strings.Repeat("é", 250_000) + ": forbidden"
	got := cut(line)
	assert.Less(t, len(got), 4100)
	assert.True(t, strings.HasPrefix(got, "roles shop/é"))
	assert.True(t, strings.HasSuffix(got, "é: forbidden"))
	assert.Equal(t, "short", cut("short"))
}
