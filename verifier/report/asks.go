package report

// asks describes what a built-in check requires of the backup, "" for an unknown
// check. docs/drills.md has the details.
func asks(check string) string {
	switch check {
	case "files_present":
		return "every file that the backup must have is there"
	case "metadata_valid":
		return "velero-backup.json belongs to this backup, and the backup is finished"
	case "manifest_consistent":
		return "the manifest of digests agrees with itself and the backup"
	case "files_digests":
		return "the SHA-256 of every file matches the manifest"
	case "items_digests":
		return "the SHA-256 of every item matches the manifest"
	case "archive_readable":
		return "the archive can be read to its end, item by item"
	case "resource_list_agrees":
		return "the archive matches the list of resources"
	case "counts_agree":
		return "there are as many items as the backup counted"
	case "volume_records_consistent":
		return "the records of volumes agree with the items and each other"
	case "volume_data_readable":
		return "the data of every volume in a repository is there, and what was read of it is whole"
	case "operations_agree":
		return "the record of asynchronous operations agrees with the status"
	case "results_readable":
		return "the errors and warnings can be read and agree with the status"
	case "companions_readable":
		return "the files beside the archive can be read"
	case "items_restored":
		return "the API server accepted every expected item"
	case "items_equal":
		return "every restored item equals the backup"
	case "images_provided":
		return "the images of the workloads are available"
	case "contained":
		return "the sandbox stayed closed to the outside"
	case "workloads_ready":
		return "Deployments, StatefulSets, DaemonSets, Jobs and pods became ready"
	case "services_have_endpoints":
		return "every Service with a selector has an endpoint"
	case "claims_bound":
		return "every PersistentVolumeClaim is bound"
	case "crds_established":
		return "every CustomResourceDefinition is served"
	case "webhooks_answer":
		return "admission webhooks answer"
	case "apiservices_available":
		return "aggregated APIs answer"
	case "volume_data_restored":
		return "the data of volumes is there"
	case "rpo":
		return "the newest backup was recent enough"
	case "rto":
		return "the restore was fast enough"
	}
	return ""
}
