package bucket

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	// LookAgain is the time within which every folder is listed again, however
	// quiet it was: that is how late a backup shows that lost files, or was
	// rewritten, long after its end.
	LookAgain = time.Hour
	// quietAfter is how old the newest file of a finished backup is when its
	// folder needs no listing at each reading any more. Velero writes the last
	// file at the end of finalizing, together with the metadata.
	quietAfter = 15 * time.Minute
	// quietUnfinished is the same for folders that hold no finished backup.
	quietUnfinished = 24 * time.Hour
	// PageObjects is how many objects or folders S3 lists in one request.
	PageObjects = 1000
	// RunPages bounds a listing that others run beside, in pages.
	RunPages = 20
	// listers is how many listings run at once.
	listers = 8
)

// Folder is what a listing shows of a backup.
type Folder struct {
	Name        string
	metadata    file // velero-backup.json
	volumes     file // the records of volumes
	archive     bool
	archiveSize int64 // bytes
	objects     int
	newest      time.Time // when the newest file was written, by the clock of the store
	print       report.Fingerprint
}

// file is what a listing shows of a file; the zero value is of none. It is a
// store.Info without the key, because there are as many of them as backups.
type file struct {
	size    int64
	written int64 // nanoseconds since 1970
}

func (f file) exists() bool { return f != file{} }

// info is the file as the listing showed it.
func (f file) info(key string) store.Info {
	return store.Info{Key: key, Size: f.size, Modified: time.Unix(0, f.written)}
}

func (f *Folder) add(name string, info store.Info) {
	seen := file{size: info.Size, written: info.Modified.UnixNano()}
	switch store.BackupPrefix(f.Name) + name {
	case store.Metadata(f.Name):
		f.metadata = seen
	case store.VolumeInfo(f.Name):
		f.volumes = seen
	case store.Contents(f.Name), store.SealedContents(f.Name):
		f.archive, f.archiveSize = true, info.Size
	}
	f.objects++
	if info.Modified.After(f.newest) {
		f.newest = info.Modified
	}
}

// Folders is what is known of the folders below backups/. At each reading the
// names are listed, which costs a request for each 1,000; the files only of
// folders that are new or not quiet yet, and of a share of the others, so that
// their turn comes at least once in lookAgain.
type Folders struct {
	Known  map[string]*Folder
	Cursor string    // the folder looked at last because it was its turn
	Turned time.Time // when that was
	// listTook is how long the last listing of names took to its first answer.
	listTook time.Duration
	// misnamed counts the folders whose names are too long for a backup.
	misnamed int
}

// refresh brings the folders up to date and returns them in the order of the
// listing. quiet names those of which nothing new is expected. When not all could be
// looked at, what was is kept, so that the next refresh has less to do; the
// names are returned as answered even then.
func (f *Folders) refresh(ctx context.Context, s *counted, now time.Time, quiet func(*Folder) bool) (list []*Folder, answered bool, err error) {
	names, err := f.names(ctx, s)
	if err != nil {
		return nil, false, err
	}
	wanted, cursor := f.Wanted(names, now, quiet)
	ranged := s.ranged()
	if err := f.look(ctx, s, names, RunsOf(wanted, f.perPage(ranged))); err != nil {
		return nil, true, err
	}
	f.Cursor, f.Turned = cursor, now
	return f.ordered(names), true, nil
}

func (f *Folders) names(ctx context.Context, s *counted) ([]string, error) {
	var names []string
	began := time.Now()
	f.listTook, f.misnamed = 0, 0
	for info, err := range s.List(ctx, store.BackupsPrefix, false) {
		f.listTook = cmp.Or(f.listTook, time.Since(began))
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
		if !ok || name == "" {
			continue
		}
		if len(name) > maxName {
			f.misnamed++
			continue
		}
		if len(names) == maxListed {
			return nil, fmt.Errorf("more than %d backups", maxListed)
		}
		names = append(names, name)
	}
	f.listTook = cmp.Or(f.listTook, time.Since(began))
	return names, nil
}

// Wanted reports for each name whether its folder is to be listed, and where the
// cursor is then.
func (f *Folders) Wanted(names []string, now time.Time, quiet func(*Folder) bool) (wanted []bool, cursor string) {
	wanted = make([]bool, len(names))
	start := 0
	for i, name := range names {
		known := f.Known[name]
		wanted[i] = known == nil || !quiet(known)
		if !ListedBefore(f.Cursor, name) {
			start = i + 1
		}
	}
	cursor = f.Cursor
	for i := range turns(len(names), now.Sub(f.Turned)) {
		at := (start + i) % len(names)
		wanted[at], cursor = true, names[at]
	}
	return wanted, cursor
}

// turns is how many of n folders have their turn when that much time has passed
// since the last turn.
func turns(n int, elapsed time.Duration) int {
	share := float64(min(max(elapsed, 0), LookAgain)) / float64(LookAgain)
	return min(int(float64(n)*share)+1, n)
}

// ListedBefore reports whether folder a is listed before folder b. A folder
// counts with its "/": "a-b/" comes before "a/".
func ListedBefore(a, b string) bool { return a+"/" < b+"/" }

// perPage is how many folders one request lists, about; 1 for a store that
// cannot begin a listing in the middle.
func (f *Folders) perPage(ranged bool) int {
	if !ranged {
		return 1
	}
	objects := 10 * len(f.Known) // a backup of Velero's has about ten files
	if len(f.Known) > 0 {
		objects = 0
		for _, known := range f.Known {
			objects += known.objects
		}
	}
	if objects == 0 {
		return PageObjects / 10
	}
	return max(PageObjects*len(f.Known)/objects, 1)
}

// Run is a piece of a list of names, from first to last.
type Run struct{ First, Last int }

// RunsOf covers what is wanted with runs that cost the fewest requests: a gap
// smaller than a page is cheaper listed than left out.
func RunsOf(wanted []bool, perPage int) []Run {
	var runs []Run
	for i, want := range wanted {
		if !want {
			continue
		}
		last := len(runs) - 1
		if last >= 0 && i-runs[last].Last <= perPage && i-runs[last].First < RunPages*perPage {
			runs[last].Last = i
			continue
		}
		runs = append(runs, Run{i, i})
	}
	return runs
}

// look lists the folders of the runs, several runs at once.
func (f *Folders) look(ctx context.Context, s *counted, names []string, runs []Run) error {
	found := make([]map[string]*Folder, len(runs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listers)
	for i, r := range runs {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			seen, err := filesOf(s.below(ctx, names[r.First:r.Last+1]))
			if err == nil {
				found[i] = seen
			}
			return err
		})
	}
	err := group.Wait()
	f.replace(names, runs, found)
	return err
}

// replace takes over what was found in runs that were listed to their end, and
// forgets folders that are gone.
func (f *Folders) replace(names []string, runs []Run, found []map[string]*Folder) {
	next := make(map[string]*Folder, len(names))
	for _, name := range names {
		if known := f.Known[name]; known != nil {
			next[name] = known
		}
	}
	for i, r := range runs {
		if found[i] == nil {
			continue
		}
		for _, name := range names[r.First : r.Last+1] {
			if seen := found[i][name]; seen != nil {
				next[name] = seen
			} else {
				delete(next, name)
			}
		}
	}
	f.Known = next
}

// filesOf sorts what is listed by folder. A folder whose files are all gone is
// not among them. The files of a folder follow each other in a listing, so those
// of one are kept at a time.
func filesOf(listed iter.Seq2[store.Info, error]) (map[string]*Folder, error) {
	seen := map[string]*Folder{}
	var last *Folder
	var files []report.File
	end := func() {
		if last != nil {
			last.print = report.FingerprintOf(files)
		}
		files = files[:0]
	}
	for info, err := range listed {
		if err != nil {
			return nil, err
		}
		name, file, ok := strings.Cut(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
		if !ok || name == "" || len(name) > maxName {
			continue
		}
		if seen[name] == nil {
			end()
			last = &Folder{Name: name}
			seen[name] = last
		}
		seen[name].add(file, info)
		if len(files) <= report.MaxFiles { // one more is enough to know that there are too many
			files = append(files, report.NewFile(file, info.Size, info.Modified, info.ETag))
		}
	}
	end()
	return seen, nil
}

func (f *Folders) ordered(names []string) []*Folder {
	list := make([]*Folder, 0, len(names))
	for _, name := range names {
		if known := f.Known[name]; known != nil {
			list = append(list, known)
		}
	}
	return list
}
