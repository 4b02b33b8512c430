package kind

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsLeftBehind(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name string
		who  ownership
		want string // reason; "" = it stays
	}{
		{"a locked folder has an owner, however old it is", ownership{folder: folderLocked, age: 30 * day}, ""},
		{"a locked folder has an owner, even if its number means nothing here", ownership{folder: folderLocked, sameMachine: false, age: 2 * day}, ""},
		{"a folder that nobody locks has none", ownership{folder: folderFree, age: time.Hour}, "its verifier has ended without removing it"},
		{"the number is in use, but by another process: the lock says so", ownership{folder: folderFree, sameMachine: true, alive: true, age: time.Hour}, "its verifier has ended without removing it"},
		{"a newborn folder may be about to be locked", ownership{folder: folderFree, sameMachine: true, alive: true, age: time.Second}, ""},
		{"a newborn folder of the dead is not", ownership{folder: folderFree, sameMachine: true, alive: false, age: time.Second}, "its verifier has ended without removing it"},
		{"without its folder, a dead process of this machine", ownership{sameMachine: true, alive: false, age: time.Second}, "its verifier, process 4711, has ended"},
		{"without its folder, a living process of this machine", ownership{sameMachine: true, alive: true, age: time.Hour}, ""},
		{"without its folder, a number in use that must have been given again", ownership{sameMachine: true, alive: true, age: day}, "created 24h0m0s ago by a verifier that cannot be checked from here"},
		{"another machine's, young", ownership{age: time.Hour}, ""},
		{"another machine's, old", ownership{age: 25 * time.Hour}, "created 25h0m0s ago by a verifier that cannot be checked from here"},
		{"made in the future by a clock that is wrong", ownership{age: -time.Hour}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reason, left := tc.who.leftBehind(4711, day)
			assert.Equal(t, tc.want, reason)
			assert.Equal(t, tc.want != "", left)
		})
	}
}
