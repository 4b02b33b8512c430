package drilllog

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// SettingsSchema is the schema of the records of settings.
const SettingsSchema = "lifeboat.dev/settings/v1alpha1"

// Settings is the record that a verifier took part in a run of a policy, under
// settings with a digest. Verifiers that share a policy write the same record. Two
// records of one run mean that the verifiers have different policies of one name.
type Settings struct {
	Schema string    `json:"schema"`
	Digest string    `json:"digest"` // of the policy's spec
	At     time.Time `json:"at"`
	By     Owner     `json:"by"` // the first verifier that wrote it
}

const (
	// settingsFolder is below RunPrefix, beside a folder for each backup. A digest
	// is never taken for the number of an attempt, because of the prefix.
	settingsFolder = "settings/"
	digestPrefix   = "sha256-"
	maxSettings    = 100 // of one run
)

func settingsPrefix(policy string, due time.Time) string {
	return RunPrefix(policy, due) + settingsFolder
}

// WriteSettings records that a verifier takes part in a run under settings of a
// digest. It is not an error if there is such a record.
func WriteSettings(ctx context.Context, s store.Store, policy string, due time.Time, record Settings) error {
	record.Schema = SettingsSchema
	err := write(ctx, s, settingsPrefix(policy, due)+digestPrefix+record.Digest+recordSuffix, record)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// ListSettings lists the digests of the settings under which verifiers took part in
// a run, in order.
func ListSettings(ctx context.Context, s store.Store, policy string, due time.Time) ([]string, error) {
	var out []string
	for info, err := range s.List(ctx, settingsPrefix(policy, due), false) {
		if err != nil {
			return nil, fmt.Errorf("list drill records of policy %s in %s: %w", policy, s, err)
		}
		name, isRecord := strings.CutSuffix(path.Base(info.Key), recordSuffix)
		digest, isDigest := strings.CutPrefix(name, digestPrefix)
		if !isRecord || !isDigest || info.IsPrefix() {
			continue
		}
		if len(out) == maxSettings {
			return nil, fmt.Errorf("list drill records in %s: more than %d settings in %s", s, maxSettings, settingsPrefix(policy, due))
		}
		out = append(out, digest)
	}
	slices.Sort(out)
	return out, nil
}
