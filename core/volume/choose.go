package volume

import "slices"

// Settings are those of a backup for the data of volumes.
type Settings struct {
	// SnapshotVolumes is whether volumes are snapshotted; nil is true, as with
	// Velero.
	SnapshotVolumes *bool
	// DefaultVolumesToFsBackup backs up the files of every volume that a pod does
	// not exclude.
	DefaultVolumesToFsBackup bool
	// Available are the methods that can be carried out.
	Available []BackupMethod
}

// Choice is one volume, how its data is backed up, and why.
type Choice struct {
	Claim Name // zero for a volume without one
	PV    string
	Pod   Name   // the pod through which files are to be read, zero for another method
	Mount string // the pod's name for the volume
	// Method is "" when the data is not included.
	Method BackupMethod
	Reason string
}

// The reasons of choices. They are in results and in the records of volumes.
const (
	ReasonObjectsOnly    = "data not included: this backup holds objects only"
	reasonNotBound       = "data not included: the claim is not bound to a volume"
	reasonPVNotInBackup  = "data not included: the volume is not in the backup"
	reasonNoSnapshots    = "data not included: the backup does not snapshot volumes"
	reasonUnavailable    = "data not included: this installation cannot make a "
	reasonNamed          = "named by annotation backup.velero.io/backup-volumes"
	reasonDefault        = "file-system backup is the default of this backup"
	reasonSnapshot       = "the backup snapshots volumes"
	reasonNotRunning     = "data not included: its pod is not running"
	reasonNotMounted     = "data not included: no container of its pod mounts it as a file system"
	reasonNoFilesOfBlock = "data not included: a block device has no files"
	reasonHostPath       = "data not included: a hostPath volume belongs to its node"
)

// Choose decides for each volume by which method its data is backed up, as
// Velero v1.18.1 does (volume_policy_helper.go, pkg/podvolume/backupper.go): a
// file-system backup where the pod's annotation or the backup asks for it, else
// a snapshot. A claim that several pods mount is backed up once, through the
// first one of them. There is one choice for each claim, for each volume that
// no claim uses, and for each other volume of a pod that is backed up. Their
// order depends only on the order of the arguments.
func Choose(pods []Pod, claims []Claim, pvs []PV, s Settings) []Choice {
	byName := make(map[string]PV, len(pvs))
	for _, pv := range pvs {
		byName[pv.Name] = pv
	}
	files, others := chooseFiles(pods, s)
	var out []Choice
	used := map[string]bool{}
	for _, c := range claims {
		used[c.PV] = c.PV != ""
		pv, found := byName[c.PV]
		out = append(out, s.limit(chooseClaim(c, pv, found, files[c.Name], s)))
	}
	for _, pv := range pvs {
		if !used[pv.Name] {
			out = append(out, s.limit(snapshot(Choice{PV: pv.Name}, pv, s)))
		}
	}
	for _, c := range others {
		out = append(out, s.limit(c))
	}
	return out
}

// chooseFiles finds the volumes that get a file-system backup: those of claims,
// and the others.
func chooseFiles(pods []Pod, s Settings) (ofClaims map[Name]Choice, others []Choice) {
	ofClaims = map[Name]Choice{}
	for _, p := range pods {
		for _, v := range p.Volumes {
			reason, wanted := wantsFiles(p, v, s)
			if !wanted {
				continue
			}
			c := Choice{Pod: p.Name, Mount: v.Name, Method: PodVolumeBackup, Reason: reason}
			if why := unreadable(p, v); why != "" {
				c.Method, c.Reason = "", why
			}
			if v.Claim == "" {
				others = append(others, c)
				continue
			}
			c.Claim = Name{p.Namespace, v.Claim}
			if first, found := ofClaims[c.Claim]; !found || first.Method == "" && c.Method != "" {
				ofClaims[c.Claim] = c
			}
		}
	}
	return ofClaims, others
}

func wantsFiles(p Pod, v PodVolume, s Settings) (reason string, wanted bool) {
	switch {
	case v.Transient:
		return "", false
	case slices.Contains(p.FsBackup, v.Name) && !s.DefaultVolumesToFsBackup:
		return reasonNamed, true
	case s.DefaultVolumesToFsBackup && !slices.Contains(p.NoFsBackup, v.Name):
		return reasonDefault, true
	}
	return "", false
}

// unreadable says why the files of a pod's volume cannot be read, "" if they
// can.
func unreadable(p Pod, v PodVolume) string {
	switch {
	case !p.Running:
		return reasonNotRunning
	case !v.Mounted:
		return reasonNotMounted
	}
	return ""
}

func chooseClaim(c Claim, pv PV, found bool, files Choice, s Settings) Choice {
	out := Choice{Claim: c.Name, PV: c.PV}
	switch {
	case c.PV == "":
		out.Reason = reasonNotBound
	case files.Reason == "" && !found:
		out.Reason = reasonPVNotInBackup
	case files.Reason == "":
		return snapshot(out, pv, s)
	case pv.HostPath:
		out.Reason = reasonHostPath
	case pv.Block:
		out.Reason = reasonNoFilesOfBlock
	default:
		files.PV = c.PV
		return files
	}
	return out
}

func snapshot(c Choice, pv PV, s Settings) Choice {
	switch {
	case s.SnapshotVolumes != nil && !*s.SnapshotVolumes:
		c.Reason = reasonNoSnapshots
	case pv.HostPath:
		c.Reason = reasonHostPath
	case pv.Driver != "":
		c.Method, c.Reason = CSISnapshot, reasonSnapshot
	default:
		c.Method, c.Reason = NativeSnapshot, reasonSnapshot
	}
	return c
}

// limit takes back a method that cannot be carried out.
func (s Settings) limit(c Choice) Choice {
	switch {
	case len(s.Available) == 0:
		c.Method, c.Reason = "", ReasonObjectsOnly
	case c.Method != "" && !slices.Contains(s.Available, c.Method):
		c.Method, c.Reason = "", reasonUnavailable+string(c.Method)
	}
	return c
}

// Skipped is the record of a volume whose data is not included: Velero decides
// by it what a restore does with the volume.
func Skipped(pv PV, reason string) Info {
	return Info{
		PVCName: pv.Claim.Name, PVCNamespace: pv.Claim.Namespace, PVName: pv.Name, Skipped: true, SkippedReason: reason,
		PVInfo: &PVInfo{ReclaimPolicy: pv.ReclaimPolicy, Labels: pv.Labels},
	}
}
