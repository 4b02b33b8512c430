package archive

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// The layout inside the archive (Velero v1.18.1, pkg/archive/parser.go and
// pkg/apis/velero/v1/constants.go).
const (
	resourcesDir    = "resources"
	metadataDir     = "metadata"
	namespacesDir   = "namespaces"
	clusterDir      = "cluster"
	preferredSuffix = "-preferredversion"
	itemSuffix      = ".json"
)

// maxFileName is how many bytes file systems allow in a name. Velero extracts the
// archive before it restores, so one longer name would make the whole backup
// unrestorable for it.
const maxFileName = 255

// escapePrefix begins the file names that stand for names of objects which cannot
// be file names. No object's name contains "%" (Kubernetes, path.ValidatePathSegmentName).
const escapePrefix = "%sha256-"

// fileStem is the file name of an object without ".json": its name as it is, as
// Velero writes it, unless no file could have that name. The reader then takes the
// name from the object; so does Velero, whatever the file is called.
func fileStem(name string) string {
	if name != "" && name[0] != '%' && len(name)+len(itemSuffix) <= maxFileName && !strings.Contains(name, "\x00") {
		return name
	}
	return fmt.Sprintf("%s%x", escapePrefix, sha256.Sum256([]byte(name)))
}

// checkName refuses names that no API server takes: in the address of a request
// they would lead somewhere else.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("%w: no object can have the name %s", ErrBadPath, shown(name))
	}
	return nil
}

// ItemPath is where the archive holds an item: resources/<resource.group>/
// namespaces/<namespace>/<name>.json or resources/<resource.group>/cluster/<name>.json.
func ItemPath(k item.Key) string { return placeOf(k).path("") }

// CopyPath is where the archive holds the second copy of an item that was read
// at its group's preferred version.
func CopyPath(k item.Key, version string) string {
	return placeOf(k).path(version + preferredSuffix)
}

// place is where an item is in an archive: its key with the stem of the file in
// place of the name.
type place item.Key

func placeOf(k item.Key) place {
	k.Name = fileStem(k.Name)
	return place(k)
}

// escaped reports whether the file's name does not tell the object's.
func (p place) escaped() bool { return strings.HasPrefix(p.Name, escapePrefix) }

// holds reports whether an object of that name belongs there. Velero writes all
// names as they are.
func (p place) holds(name string) bool { return p.Name == name || p.Name == fileStem(name) }

func (p place) path(version string) string {
	k := item.Key(p)
	var b strings.Builder
	b.Grow(len(resourcesDir) + len(k.Resource) + len(k.Group) + len(version) + len(namespacesDir) + len(k.Namespace) + len(k.Name) + len(itemSuffix) + 6)
	b.WriteString(resourcesDir)
	b.WriteByte('/')
	b.WriteString(k.Resource)
	if k.Group != "" {
		b.WriteByte('.')
		b.WriteString(k.Group)
	}
	b.WriteByte('/')
	if version != "" {
		b.WriteString(version)
		b.WriteByte('/')
	}
	if k.Namespace == "" {
		b.WriteString(clusterDir)
	} else {
		b.WriteString(namespacesDir)
		b.WriteByte('/')
		b.WriteString(k.Namespace)
	}
	b.WriteByte('/')
	b.WriteString(k.Name)
	b.WriteString(itemSuffix)
	return b.String()
}

type pathKind int

const (
	metadataFile  pathKind = iota // under metadata/
	plainItem                     // resources/<gr>/…
	preferredCopy                 // resources/<gr>/<version>-preferredversion/…
	otherVersion                  // resources/<gr>/<version>/…
)

// KeyOf is the item that a path of an archive is about, as far as the path says
// it; ok is false for a path that is no item's.
func KeyOf(path string) (k item.Key, ok bool) {
	kind, at, err := parsePath(path)
	return item.Key(at), err == nil && kind != metadataFile
}

// parsePath says what a regular file of that path is, and whose.
func parsePath(path string) (pathKind, place, error) {
	seg := strings.Split(path, "/")
	if err := checkSegments(path, seg); err != nil {
		return 0, place{}, err
	}
	if seg[0] == metadataDir {
		if len(seg) < 2 {
			return 0, place{}, fmt.Errorf("%w: a file in place of the folder %s", ErrBadPath, metadataDir)
		}
		return metadataFile, place{}, nil
	}
	return parseItemPath(seg)
}

func parseItemPath(seg []string) (pathKind, place, error) {
	var k place
	kind := plainItem
	if len(seg) < 4 {
		return 0, k, fmt.Errorf("%w: too few segments", ErrBadPath)
	}
	k.Group, k.Resource = item.SplitGroupResource(seg[1])
	if k.Resource == "" || item.Key(k).GroupResource() != seg[1] {
		return 0, k, fmt.Errorf("%w: %s is not a resource", ErrBadPath, shown(seg[1]))
	}
	rest := seg[2:]
	if rest[0] != clusterDir && rest[0] != namespacesDir {
		kind = otherVersion
		if strings.HasSuffix(rest[0], preferredSuffix) {
			kind = preferredCopy
		}
		rest = rest[1:]
	}
	switch {
	case len(rest) == 2 && rest[0] == clusterDir:
	case len(rest) == 3 && rest[0] == namespacesDir:
		k.Namespace = rest[1]
	default:
		return 0, k, fmt.Errorf("%w: neither cluster/<name> nor namespaces/<namespace>/<name>", ErrBadPath)
	}
	stem, found := strings.CutSuffix(rest[len(rest)-1], itemSuffix)
	if !found || stem == "" {
		return 0, k, fmt.Errorf("%w: %s is no <name>%s", ErrBadPath, shown(rest[len(rest)-1]), itemSuffix)
	}
	k.Name = stem
	return kind, k, nil
}

// checkParent accepts a directory entry that only names a parent of files the
// archive may hold; archives that were unpacked and packed again have them.
func checkParent(path string) error {
	path = strings.TrimSuffix(path, "/")
	seg := strings.Split(path, "/")
	if err := checkSegments(path, seg); err != nil {
		return err
	}
	const deepest = 5 // resources/<gr>/<version>/namespaces/<namespace>
	if len(seg) > deepest {
		return fmt.Errorf("%w: directory is too deep", ErrBadPath)
	}
	return nil
}

func checkSegments(path string, seg []string) error {
	if strings.HasPrefix(path, "/") {
		return fmt.Errorf("%w: absolute", ErrBadPath)
	}
	for _, s := range seg {
		if !safeSegment(s) {
			return fmt.Errorf("%w: segment %s", ErrBadPath, shown(s))
		}
	}
	if seg[0] != resourcesDir && seg[0] != metadataDir {
		return fmt.Errorf("%w: not under %s/ or %s/", ErrBadPath, resourcesDir, metadataDir)
	}
	return nil
}

// safeSegment reports whether s names something inside its parent. A backslash
// does: it is part of a name, as on the systems that Velero runs on.
func safeSegment(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}
