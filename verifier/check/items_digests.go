package check

import (
	"encoding/hex"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// itemsDigests: the tarball holds the items of the manifest, byte for byte,
// and no other.
func itemsDigests() Check {
	return Check{
		Name:  "items_digests",
		asks:  func(in Input) bool { return in.ours() && in.contentsExpected() },
		needs: needs(store.Manifest, store.Contents),
		Find: func(in Input) []report.Finding {
			want := make(map[item.Key]manifest.Item, len(in.Manifest.Items))
			for _, it := range in.Manifest.Items {
				want[it.Key] = it
			}
			if err := in.DigestKey.Err; err != nil {
				return []report.Finding{{Object: in.objectKey(in.fileName(store.Manifest)), Message: err.Error()}}
			}
			var found []report.Finding
			for _, it := range in.Archive.Items {
				w, listed := want[it.Key]
				delete(want, it.Key)
				if wrong := compareItem(it, w, listed, in.DigestKey.Key); wrong != "" {
					found = append(found, report.Finding{Object: it.Key.String(), Message: wrong})
				}
			}
			for k := range want {
				found = append(found, report.Finding{Object: k.String(), Message: "item is missing from the tarball, the manifest lists it"})
			}
			return found
		},
	}
}

// compareItem reports how an item differs from what the manifest lists, or "".
func compareItem(it Item, want manifest.Item, listed bool, key manifest.Key) string {
	switch sum := key.Digest(hex.EncodeToString(it.SHA256[:])); {
	case !listed:
		return "the manifest does not list this item"
	case key == nil && it.Size != want.Size: // where there is a key, no size is told
		return fmt.Sprintf("item has %d bytes, the manifest lists %d", it.Size, want.Size)
	case sum != want.SHA256:
		return fmt.Sprintf("item was changed: its digest is %s, the manifest lists %s", sum, want.SHA256)
	case it.Version != want.Version || it.Kind != want.Kind:
		return fmt.Sprintf("item is a %s of version %s, the manifest lists a %s of version %s", it.Kind, it.Version, want.Kind, want.Version)
	}
	return ""
}
