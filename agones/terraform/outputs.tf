output "cluster" {
  description = "Name and place of the cluster, for gcloud container clusters get-credentials."
  value       = "${google_container_cluster.arbiter.name} ${google_container_cluster.arbiter.location}"
}

output "pods_cidr" {
  description = "For networkPolicy.serversCidrs of the home region, if this is another one."
  value       = var.pods_cidr
}
