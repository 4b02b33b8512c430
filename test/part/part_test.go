package part

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePartsOfAListAreTheListAndHaveNothingInCommon(t *testing.T) {
	taken := make([]int, 10)
	for _, s := range []string{"1/3", "2/3", "3/3"} {
		p, err := Parse(s)
		require.NoError(t, err)
		assert.Equal(t, s, p.String())
		for i := range taken {
			if p.Takes(i) {
				taken[i]++
			}
		}
	}
	for i, n := range taken {
		assert.Equal(t, 1, n, "case %d", i)
	}
}

func TestARunThatIsNotToldAPartTakesEverything(t *testing.T) {
	for _, s := range []string{"", "1/1"} {
		p, err := Parse(s)
		require.NoError(t, err)
		assert.True(t, p.Whole())
		for i := range 5 {
			assert.True(t, p.Takes(i))
		}
	}
}

func TestSomeOfAListAreThoseOfThePart(t *testing.T) {
	t.Setenv(variable, "2/3")
	assert.Equal(t, []string{"b", "e"}, Some(t, []string{"a", "b", "c", "d", "e"}))
	t.Setenv(variable, "")
	assert.Equal(t, []string{"a", "b"}, Some(t, []string{"a", "b"}))
}

func TestWhatIsNotAPartIsAnError(t *testing.T) {
	for _, s := range []string{"0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3x"} {
		_, err := Parse(s)
		assert.Error(t, err, s)
	}
}
