package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/core/volume/kopia"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// VolumeOptions say how the data of volumes is read.
type VolumeOptions struct {
	// Password is that of the repositories; empty means Velero's default.
	Password string
	// Share is of how many files the content is read, from 0 to 1. Of the others it
	// is checked that all parts exist.
	Share float64
}

// VolumeData is what was found of one volume in a repository.
type VolumeData struct {
	volume.Data
	kopia.Verified
	// Fault says what is wrong with the repository or the snapshot.
	Fault error
	// Unknown says why the data could not be checked.
	Unknown error
}

// gatherVolumes checks each volume of the records that is in a repository. It returns
// an error only when ctx ends.
func gatherVolumes(ctx context.Context, s store.Store, records []volume.Data, o VolumeOptions) ([]VolumeData, error) {
	repos := kopia.NewRepositories(s, o.Password)
	defer repos.Close(ctx)
	var out []VolumeData
	for _, d := range records {
		if checkable(d) {
			out = append(out, verifyVolume(ctx, repos, d, o.Share))
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func checkable(d volume.Data) bool { return d.InRepository() && d.Outcome == volume.OutcomeSaved }

func verifyVolume(ctx context.Context, repos *kopia.Repositories, d volume.Data, share float64) VolumeData {
	v := VolumeData{Data: d}
	err := func() error {
		repo, err := repos.Get(ctx, d.Repository)
		if err != nil {
			return err
		}
		snap, err := repo.Snapshot(ctx, d.Snapshot)
		if err != nil {
			return err
		}
		if !ofVolume(d, snap.Source) {
			return fmt.Errorf("snapshot %s is that of another volume: %s", d.Snapshot, snap.Source)
		}
		v.Verified, err = repo.Verify(ctx, snap, share)
		return err
	}()
	switch {
	case errors.Is(err, kopia.ErrPassword):
		v.Unknown = fmt.Errorf("%w (name the file with the password: --repo-password-file)", err)
	case errors.Is(err, kopia.ErrUnreachable), ctx.Err() != nil:
		v.Unknown = err
	default:
		v.Fault = err
	}
	return v
}

// ofVolume reports whether a snapshot can be that of a volume. Velero names the source
// REQUESTER/kopia/NAMESPACE/… with the claim or the volume of the pod last (Velero
// v1.18.1, pkg/uploader/kopia); any other form is not judged.
func ofVolume(d volume.Data, source string) bool {
	parts := strings.Split(source, "/")
	if len(parts) < 4 || parts[1] != volume.UploaderKopia {
		return true
	}
	last := parts[len(parts)-1]
	return parts[2] == d.Repository && (last == d.Claim.Name || last == d.PodVolume)
}

// volumeDataReadable: the data of each volume that the backup holds in a repository can
// be read: the repository opens, the snapshot is complete and that of the volume, and
// every part of every file lies in a pack that exists.
func volumeDataReadable() Check {
	return Check{
		Name: "volume_data_readable",
		asks: func(in Input) bool {
			return slices.ContainsFunc(volume.DataOf(in.VolumeInfos, in.PodVolumeBackups), checkable)
		},
		needs: Input.names,
		Find: func(in Input) []report.Finding {
			var found []report.Finding
			for _, v := range in.Volumes {
				found = append(found, volumeFindings(v)...)
			}
			return found
		},
		unknown: func(in Input) string {
			for _, v := range in.Volumes {
				if v.Unknown != nil {
					return fmt.Sprintf("volume %s: %v", v.Name(), v.Unknown)
				}
			}
			return ""
		},
		note: func(in Input) string {
			var files, read, bytes int64
			for _, v := range in.Volumes {
				files, read, bytes = files+v.Files, read+v.ReadFiles, bytes+v.ReadBytes
			}
			return fmt.Sprintf("%d volumes with %d files; the content of %d files was read (%d bytes)", len(in.Volumes), files, read, bytes)
		},
	}
}

func volumeFindings(v VolumeData) []report.Finding {
	object := v.Claim.String()
	kind := "persistentvolumeclaims "
	if v.Claim == (volume.Name{}) {
		kind, object = "pods ", v.Pod.String()
	}
	finding := func(format string, args ...any) report.Finding {
		message := fmt.Sprintf(format, args...)
		if v.Claim == (volume.Name{}) {
			message = "volume " + v.PodVolume + ": " + message
		}
		return report.Finding{Object: kind + object, Message: message}
	}
	var out []report.Finding
	if v.Fault != nil {
		out = append(out, finding("%v", v.Fault))
	}
	for _, p := range v.Problems {
		out = append(out, finding("%s: %s", p.Path, p.Reason))
	}
	if over := v.Count - len(v.Problems); over > 0 {
		out = append(out, finding("and %d more files", over))
	}
	return out
}
