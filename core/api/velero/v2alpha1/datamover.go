package v2alpha1

// NodeOS is the operating system of the nodes that can mount a volume.
//
// +kubebuilder:validation:Enum=auto;linux;windows
type NodeOS string

// The operating systems of nodes.
const (
	NodeOSLinux   NodeOS = "linux"
	NodeOSWindows NodeOS = "windows"
	NodeOSAuto    NodeOS = "auto" // either
)
