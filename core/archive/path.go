package archive

import (
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

// ItemPath is where the archive holds an item: resources/<resource.group>/
// namespaces/<namespace>/<name>.json or resources/<resource.group>/cluster/<name>.json.
func ItemPath(k item.Key) string { return versionedPath(k, "") }

// CopyPath is where the archive holds the second copy of an item that was read
// at its group's preferred version.
func CopyPath(k item.Key, version string) string { return versionedPath(k, version+preferredSuffix) }

func versionedPath(k item.Key, version string) string {
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

// parsePath says what a regular file of that path is, and whose.
func parsePath(path string) (pathKind, item.Key, error) {
	seg := strings.Split(path, "/")
	if err := checkSegments(path, seg); err != nil {
		return 0, item.Key{}, err
	}
	if seg[0] == metadataDir {
		if len(seg) < 2 {
			return 0, item.Key{}, fmt.Errorf("%w: a file in place of the folder %s", ErrBadPath, metadataDir)
		}
		return metadataFile, item.Key{}, nil
	}
	return parseItemPath(seg)
}

func parseItemPath(seg []string) (pathKind, item.Key, error) {
	var k item.Key
	kind := plainItem
	if len(seg) < 4 {
		return 0, k, fmt.Errorf("%w: too few segments", ErrBadPath)
	}
	k.Group, k.Resource = item.SplitGroupResource(seg[1])
	if k.Resource == "" || k.GroupResource() != seg[1] {
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
	name, found := strings.CutSuffix(rest[len(rest)-1], itemSuffix)
	if !found || !safeSegment(name) {
		return 0, k, fmt.Errorf("%w: %s is no <name>%s", ErrBadPath, shown(rest[len(rest)-1]), itemSuffix)
	}
	k.Name = name
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

// safeSegment reports whether s names something inside its parent, on every
// operating system.
func safeSegment(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\\\x00")
}
