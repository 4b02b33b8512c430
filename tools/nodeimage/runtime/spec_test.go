package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSpecificationIsFoundInEveryWayToNameIt(t *testing.T) {
	for args, want := range map[string]spec{
		"--root /r create --bundle /b --pid-file /p id":  {path: "/b/config.json", whole: true},
		"--root /r create --bundle=/b id":                {path: "/b/config.json", whole: true},
		"run -b /b id":                                   {path: "/b/config.json", whole: true},
		"create id":                                      {path: "config.json", whole: true},
		"--log /l exec --process /x --detach --pid-file": {path: "/x"},
		"exec -p /x id":                                  {path: "/x"},
	} {
		t.Run(args, func(t *testing.T) {
			got, ok := specification(strings.Fields(args))
			assert.True(t, ok)
			assert.Equal(t, want, got)
		})
	}
	for _, args := range []string{"state id", "exec id sh", "delete --force id", ""} {
		_, ok := specification(strings.Fields(args))
		assert.False(t, ok, args)
	}
}

func TestOnlyWhatNeedsTheCapabilityIsTakenOut(t *testing.T) {
	const process = `{"args":["sh"],"capabilities":{"bounding":["CAP_KILL","CAP_SYS_RESOURCE"],"ambient":["CAP_SYS_RESOURCE"]},` +
		`"oomScoreAdj":-998,"rlimits":[{"type":"RLIMIT_NOFILE","hard":1,"soft":1}],"unknown":{"big":12345678901234567890}}`
	const mended = `{"args":["sh"],"capabilities":{"bounding":["CAP_KILL"],"ambient":[]},"unknown":{"big":12345678901234567890}}`

	got, err := spec{}.mend([]byte(process))
	require.NoError(t, err)
	assert.JSONEq(t, mended, string(got))
	assert.Contains(t, string(got), "12345678901234567890", "a number keeps all its digits")

	got, err = spec{whole: true}.mend([]byte(`{"ociVersion":"1.0.2","process":` + process + `}`))
	require.NoError(t, err)
	assert.Contains(t, string(got), `"big":12345678901234567890`)
	assert.NotContains(t, string(got), "CAP_SYS_RESOURCE")

	got, err = spec{}.mend([]byte(`{"oomScoreAdj":500}`))
	require.NoError(t, err)
	assert.JSONEq(t, `{"oomScoreAdj":500}`, string(got))
}

func TestASpecificationThatIsNoneIsAnError(t *testing.T) {
	for _, s := range []spec{{}, {whole: true}} {
		_, err := s.mend([]byte("{"))
		assert.Error(t, err)
	}
}
