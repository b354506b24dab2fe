# What runs in the cluster: Agones, the two namespaces, Arbiter, and on request NATS and PostgreSQL.

locals {
  # Where each of them publishes its chart.
  charts = {
    agones   = "https://agones.dev/chart/stable"
    nats     = "https://nats-io.github.io/k8s/helm/charts/"
    postgres = "https://cloudnative-pg.github.io/charts"
  }
  namespaces = {
    arbiter-services = { "pod-security.kubernetes.io/enforce" = "restricted" }
    # Agones' host ports: agones/namespaces.yaml says why.
    arbiter-servers = { "pod-security.kubernetes.io/enforce" = "privileged", "pod-security.kubernetes.io/warn" = "restricted" }
  }
}

resource "kubernetes_namespace_v1" "arbiter" {
  for_each = local.namespaces
  metadata {
    name   = each.key
    labels = merge({ "app.kubernetes.io/part-of" = "arbiter" }, each.value)
  }
  depends_on = [google_container_node_pool.system]
}

resource "kubernetes_secret_v1" "key" {
  for_each = kubernetes_namespace_v1.arbiter
  metadata {
    name      = "arbiter-key"
    namespace = each.key
  }
  data = {
    "arbiter.key" = "${var.key_hex}\n"
  }
}

resource "helm_release" "agones" {
  name             = "agones"
  repository       = local.charts.agones
  chart            = "agones"
  version          = var.agones_version
  namespace        = "agones-system"
  create_namespace = true
  values = [yamlencode({
    gameservers = {
      namespaces = ["arbiter-servers"]
      minPort    = var.game_ports.min
      maxPort    = var.game_ports.max
    }
  })]
  # It makes the sidecar's service account in that namespace.
  depends_on = [kubernetes_namespace_v1.arbiter]
}

# Two releases of one chart, since the two namespaces are held to two levels of pod security.
resource "helm_release" "services" {
  name      = "arbiter"
  chart     = "${path.module}/../chart"
  namespace = "arbiter-services"
  values = concat([for file in var.chart_values : file("${path.module}/${file}")], [yamlencode({
    servers       = { enabled = false }
    networkPolicy = { serversNamespace = "arbiter-servers", apiServer = { cidr = var.control_cidr } }
  })])
  depends_on = [kubernetes_secret_v1.key]
}

resource "helm_release" "servers" {
  name      = "arbiter"
  chart     = "${path.module}/../chart"
  namespace = "arbiter-servers"
  values = concat([for file in var.chart_values : file("${path.module}/${file}")], [yamlencode({
    services      = { enabled = false }
    servers       = { nodeSelector = { "arbiter.dev/pool" = "servers" } }
    monitoring    = { rules = false, dashboard = false }
    networkPolicy = { servicesNamespace = "arbiter-services", apiServer = { cidr = var.control_cidr } }
  })])
  depends_on = [kubernetes_secret_v1.key, helm_release.agones, google_container_node_pool.servers]
}

resource "helm_release" "nats" {
  count            = var.nats ? 1 : 0
  name             = "nats"
  repository       = local.charts.nats
  chart            = "nats"
  version          = var.nats_version
  namespace        = "nats"
  create_namespace = true
  values = [yamlencode({
    config = {
      cluster = { enabled = true, replicas = 3 }
      jetstream = {
        enabled   = true
        fileStore = { pvc = { size = "20Gi" } }
        # Its default flushes every two minutes: what was acknowledged in between is lost with the power.
        merge = { sync_interval = "always" }
      }
    }
  })]
  depends_on = [google_container_node_pool.system]
}

resource "helm_release" "postgres" {
  count            = var.postgres ? 1 : 0
  name             = "cnpg"
  repository       = local.charts.postgres
  chart            = "cloudnative-pg"
  version          = var.postgres_version
  namespace        = "cnpg-system"
  create_namespace = true
  depends_on       = [google_container_node_pool.system]
}
