package sabotage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The names of the backups. OurEarlier is in the same location as Ours, made a
// moment before, of the same cluster.
const (
	OurBackup  = "boatyard"
	OurEarlier = "boatyard-earlier"
)

// name is what the backup of a source is called.
func (s Source) name() string {
	if s == Veleros {
		return rig.VelerosBackup
	}
	return OurBackup
}

// key is how findings call a file of the source's backup.
func (s Source) key(k Key) string { return k(s.name()) }

// Ways to damage a file.
func half(b []byte) []byte           { return b[:len(b)/2] }
func withoutLast(b []byte) []byte    { return b[:len(b)-1] }
func flipMiddle(b []byte) []byte     { return archivetest.Flip(b, len(b)/2) }
func flipTrailer(b []byte) []byte    { return archivetest.Flip(b, len(b)-8) } // the sum of gzip
func nothing([]byte) []byte          { return nil }
func withMoreBehind(b []byte) []byte { return append(b, "and more"...) }

func damage(k Key, by func([]byte) []byte) func(*Backup) error {
	return func(b *Backup) error { return b.change(k, by) }
}

func delete1(k Key) func(*Backup) error {
	return func(b *Backup) error { return os.Remove(b.path(k)) }
}

// resealed makes the manifest agree with the files afterwards.
func resealed(spoil func(*Backup) error) func(*Backup) error {
	return func(b *Backup) error {
		if err := spoil(b); err != nil {
			return err
		}
		return b.reseal(nil)
	}
}

// retar changes the tar and packs it again, with a sum that is right.
func retar(by func([]byte) []byte) func(*Backup) error {
	return func(b *Backup) error {
		plain, err := b.untar()
		if err != nil {
			return err
		}
		packed, err := pack(by(plain))
		if err != nil {
			return err
		}
		return b.write(store.Contents, packed)
	}
}

// foreign puts a file of the earlier backup in the place of this one's.
func foreign(k Key) func(*Backup) error {
	return func(b *Backup) error {
		other := Backup{Dir: b.Dir, Name: OurEarlier}
		content, err := other.read(k)
		if err != nil {
			return err
		}
		return b.write(k, content)
	}
}

// companion is a file beside the tarball, and the check that reads it.
type companion struct {
	what  string
	key   Key
	check string
}

func companions() []companion {
	return []companion{
		{"resource list", store.ResourceList, "companions_readable"},
		{"results", store.Results, "results_readable"},
		{"volume records", store.VolumeInfo, "companions_readable"},
		{"record of snapshots", store.VolumeSnapshots, "companions_readable"},
		{"record of pod volumes", store.PodVolumeBackups, "companions_readable"},
		{"record of operations", store.ItemOperations, "companions_readable"},
	}
}

// files are damages that need no understanding of what they damage.
func files() []Case {
	var all []Case
	whole := func(name string, from Source, make func(*Backup) error, want Expectation) {
		all = append(all, Case{Name: name, From: from, Make: make, Want: want})
	}
	atOnce := func(check, object, message string) Expectation {
		return seenBy(report.LevelIntegrity, check, object, message)
	}
	for _, s := range []Source{Ours, Veleros} {
		tarball := s.key(store.Contents)
		readable := func(message string) Expectation { return atOnce("archive_readable", tarball, message) }
		whole("the tarball is cut in half", s, damage(store.Contents, half), readable("archive ends after"))
		whole("the tarball lacks its last byte", s, damage(store.Contents, withoutLast), readable("archive ends after"))
		whole("one bit of the tarball is flipped", s, damage(store.Contents, flipMiddle), readable("archive is damaged"))
		whole("the sum at the end of the tarball is wrong", s, damage(store.Contents, flipTrailer), readable("archive is damaged"))
		whole("the tarball is empty", s, damage(store.Contents, nothing), readable("archive ends after"))
		whole("something follows the tarball", s, damage(store.Contents, withMoreBehind), readable(""))
		whole("the header of a tar entry is damaged", s, retar(func(b []byte) []byte { return archivetest.Flip(b, 1024+2) }), readable("archive is damaged"))
		whole("the tar ends before its end", s, retar(half), readable("archive ends after"))
		whole("the tarball is missing", s, delete1(store.Contents), atOnce("files_present", tarball, "missing"))
		whole("velero-backup.json is missing", s, delete1(store.Metadata), atOnce("files_present", s.key(store.Metadata), "missing"))
		whole("velero-backup.json is cut in half", s, damage(store.Metadata, half), atOnce("metadata_valid", s.key(store.Metadata), "cannot be read"))
	}
	for _, c := range companions() {
		s := Veleros
		whole(fmt.Sprintf("the %s: the file is missing", c.what), s, delete1(c.key), atOnce("files_present", s.key(c.key), "missing"))
		whole(fmt.Sprintf("the %s: the file is cut in half", c.what), s, damage(c.key, half), atOnce(c.check, s.key(c.key), "cannot be read"))
		whole(fmt.Sprintf("the %s: the sum at the end is wrong", c.what), s, damage(c.key, flipTrailer), atOnce(c.check, s.key(c.key), "cannot be read"))
		s = Ours
		whole(fmt.Sprintf("the %s: the file is missing", c.what), s, delete1(c.key), atOnce("files_present", s.key(c.key), "missing"))
		whole(fmt.Sprintf("the %s: one bit is flipped", c.what), s, damage(c.key, flipTrailer), atOnce("files_digests", s.key(c.key), "was changed"))
		whole(fmt.Sprintf("the %s: the file is empty, and the manifest agrees", c.what), s, resealed(damage(c.key, nothing)), atOnce(c.check, s.key(c.key), "cannot be read"))
	}
	return append(all,
		Case{"the packs of the volume are missing", Veleros, removeBlobs("p"), nil, ofData("pack p")},
		Case{"the repository of the volume is missing", Veleros, removeBlobs(""), nil, ofData("no repository")},
		Case{"one bit of the log is flipped", Veleros, damage(store.Log, flipTrailer), nil, atOnce("companions_readable", Veleros.key(store.Log), "cannot be read")},
		Case{"one bit of the log is flipped", Ours, damage(store.Log, flipTrailer), nil, atOnce("files_digests", Ours.key(store.Log), "was changed")},
		Case{"the manifest is missing", Ours, delete1(store.Manifest), nil, atOnce("files_present", Ours.key(store.Manifest), "missing")},
		Case{"the manifest is cut in half", Ours, damage(store.Manifest, half), nil, atOnce("manifest_consistent", Ours.key(store.Manifest), "cannot be read")},
		Case{"there is a file that no backup wrote", Ours, func(b *Backup) error {
			return os.WriteFile(filepath.Join(b.folder(), "stowaway.json.gz"), nil, 0o600)
		}, nil, atOnce("files_digests", store.BackupPrefix(OurBackup)+"stowaway.json.gz", "does not list")},
		Case{"the encrypted tarball is cut in half", Encrypted, damage(store.SealedContents, half), nil, atOnce("archive_readable", Encrypted.key(store.SealedContents), "damaged")},
		Case{"one bit of the encrypted tarball is flipped", Encrypted, damage(store.SealedContents, flipMiddle), nil, atOnce("archive_readable", Encrypted.key(store.SealedContents), "damaged")},
		Case{"the encrypted tarball is missing", Encrypted, delete1(store.SealedContents), nil, atOnce("files_present", Encrypted.key(store.SealedContents), "missing")},
		Case{"the encrypted tarball is that of another backup", Encrypted, foreign(store.SealedContents), nil, atOnce("files_digests", Encrypted.key(store.SealedContents), "the manifest lists")},
		Case{"the encrypted tarball is that of another backup, and the manifest lists it", Encrypted, resealed(foreign(store.SealedContents)), nil, atOnce("items_digests", "configmaps boatyard/log", "")},
	)
}

// ofData expects damage of the volume's data to be found.
func ofData(message string) Expectation {
	return seenBy(report.LevelIntegrity, "volume_data_readable", "persistentvolumeclaims notes/notes", message)
}

// removeBlobs removes files of the volume's repository whose names begin so.
func removeBlobs(prefix string) func(b *Backup) error {
	return func(b *Backup) error {
		all, err := filepath.Glob(filepath.Join(b.Dir, "kopia", "notes", prefix+"*"))
		if err == nil && len(all) == 0 {
			err = errors.New("the repository has no such file")
		}
		for _, path := range all {
			err = errors.Join(err, os.Remove(path))
		}
		return err
	}
}
