# The network and the cluster: private nodes for services, nodes with public addresses for game servers, since players reach those
# directly over UDP.

resource "google_compute_network" "arbiter" {
  name                    = "arbiter"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "arbiter" {
  name                     = "arbiter-${var.region}"
  network                  = google_compute_network.arbiter.id
  region                   = var.region
  ip_cidr_range            = var.network_cidr
  private_ip_google_access = true
  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.pods_cidr
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.services_cidr
  }
  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Players' datagrams and nothing else from outside.
resource "google_compute_firewall" "game" {
  name          = "arbiter-game-${var.region}"
  network       = google_compute_network.arbiter.id
  direction     = "INGRESS"
  source_ranges = ["0.0.0.0/0"]
  target_tags   = ["arbiter-servers"]
  allow {
    protocol = "udp"
    ports    = ["${var.game_ports.min}-${var.game_ports.max}"]
  }
}

resource "google_service_account" "nodes" {
  account_id   = "arbiter-nodes"
  display_name = "Nodes of Arbiter's cluster"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/logging.logWriter", "roles/monitoring.metricWriter", "roles/artifactregistry.reader"])
  project  = var.project
  role     = each.value
  member   = "serviceAccount:${google_service_account.nodes.email}"
}

resource "google_container_cluster" "arbiter" {
  name                     = "arbiter"
  location                 = var.region
  network                  = google_compute_network.arbiter.id
  subnetwork               = google_compute_subnetwork.arbiter.id
  remove_default_node_pool = true
  initial_node_count       = 1
  networking_mode          = "VPC_NATIVE"
  # Dataplane V2: network policies are enforced, which Kubernetes alone does not do.
  datapath_provider           = "ADVANCED_DATAPATH"
  enable_shielded_nodes       = true
  enable_intranode_visibility = true
  deletion_protection         = true

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  release_channel {
    channel = "STABLE"
  }
  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = false
    master_ipv4_cidr_block  = var.control_cidr
  }
  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.operators_cidrs
      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }
  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
  resource_labels = {
    part-of = "arbiter"
  }
}

# Agones' controller, the services, Prometheus.
resource "google_container_node_pool" "system" {
  name       = "system"
  cluster    = google_container_cluster.arbiter.id
  node_count = 1
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    machine_type    = "e2-standard-4"
    image_type      = "COS_CONTAINERD"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

resource "google_container_node_pool" "servers" {
  name    = "servers"
  cluster = google_container_cluster.arbiter.id
  autoscaling {
    min_node_count = 1
    max_node_count = var.servers_nodes_max
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  # A new node for each old one, so that matches end where they are.
  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }
  # Public addresses: players connect to the node itself.
  network_config {
    enable_private_nodes = false
  }
  node_config {
    machine_type    = var.servers_machine
    image_type      = "COS_CONTAINERD"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    tags            = ["arbiter-servers"]
    labels = {
      "arbiter.dev/pool" = "servers"
    }
    linux_node_config {
      sysctls = {
        # Four mebibytes for each socket: docs/operations.md, what the socket loses.
        "net.core.rmem_max" = "4194304"
        "net.core.wmem_max" = "4194304"
      }
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}
