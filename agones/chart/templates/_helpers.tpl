{{- define "arbiter.labels" -}}
app.kubernetes.io/part-of: arbiter
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
arbiter.dev/region: {{ .Values.region }}
{{- end -}}

{{- define "arbiter.image" -}}
{{- $image := .root.Values.image -}}
{{- if and $image.digest (not .tag) -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ .tag | default $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "arbiter.servicesUrl" -}}
{{- if .Values.servers.servicesUrl -}}
{{ .Values.servers.servicesUrl }}
{{- else -}}
http://{{ .Release.Name }}-services.{{ .Values.networkPolicy.servicesNamespace | default .Release.Namespace }}.svc:{{ .Values.services.port }}
{{- end -}}
{{- end -}}

{{- /* What Kubernetes' Pod Security Standard "restricted" asks for. */ -}}
{{- define "arbiter.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# "Always" would make the services' keys readable for the group at each start, and they refuse to start on such a file.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "arbiter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "arbiter.keyVolume" -}}
- name: key
  secret:
    secretName: {{ .Values.key.secretName }}
    defaultMode: 0440
    items:
      - key: {{ .Values.key.item }}
        path: arbiter.key
{{- end -}}

{{- define "arbiter.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
