variable "project" {
  description = "Project of Google Cloud that everything is made in."
  type        = string
}

variable "region" {
  description = "Region of the cluster, as europe-west1."
  type        = string
}

variable "network_cidr" {
  description = "Addresses of nodes. Regions that are connected must not overlap."
  type        = string
  default     = "10.10.0.0/20"
}

variable "pods_cidr" {
  description = "Addresses of pods: what networkPolicy.serversCidrs of the home region's chart names."
  type        = string
  default     = "10.12.0.0/14"
}

variable "services_cidr" {
  description = "Addresses of Kubernetes' services."
  type        = string
  default     = "10.11.0.0/20"
}

variable "control_cidr" {
  description = "Addresses of the control plane, 16 of them: what networkPolicy.apiServer.cidr of the chart names."
  type        = string
  default     = "172.16.0.0/28"
}

variable "operators_cidrs" {
  description = "Who may reach the control plane: name to addresses."
  type        = map(string)
}

variable "servers_machine" {
  description = "Machine of the game servers' nodes: few threads that never wait, so dedicated cores."
  type        = string
  default     = "c3-standard-8"
}

variable "servers_nodes_max" {
  description = "Nodes of game servers in each zone at most."
  type        = number
  default     = 10
  validation {
    condition     = var.servers_nodes_max >= 1
    error_message = "At least one node: an empty fleet has none by itself."
  }
}

variable "game_ports" {
  description = "UDP ports that Agones gives to game servers, as Agones' own gameservers.minPort and maxPort."
  type        = object({ min = number, max = number })
  default     = { min = 7000, max = 8000 }
}

variable "agones_version" {
  description = "Release of Agones' chart."
  type        = string
  default     = "1.61.0"
}

variable "nats" {
  description = "Whether NATS is installed, for studios who put a bus between servers and services. Nothing of ours needs it."
  type        = bool
  default     = false
}

variable "postgres" {
  description = "Whether CloudNativePG is installed, for studios' own services. Nothing of ours needs it."
  type        = bool
  default     = false
}

variable "nats_version" {
  description = "Release of NATS' chart; left out, the last one."
  type        = string
  default     = null
}

variable "postgres_version" {
  description = "Release of CloudNativePG's chart; left out, the last one."
  type        = string
  default     = null
}

variable "chart_values" {
  description = "Files of values for the chart of Arbiter, the later one wins; values-one-region.yaml is one."
  type        = list(string)
  default     = ["../chart/values-one-region.yaml"]
}

variable "key_hex" {
  description = "The key that connect tokens are sealed with: 64 hexadecimal digits, from your secret store. It ends up in the state."
  type        = string
  sensitive   = true
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.key_hex))
    error_message = "64 hexadecimal digits; arbiter server --key-file makes such a file."
  }
}
