{{/* The name of what belongs to this release. */}}
{{- define "bao-backup.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 52 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* What tells the pods of this release's managers from all others; it never changes. */}}
{{- define "bao-backup.selector" -}}
app.kubernetes.io/name: bao-backup
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: manager
{{- end -}}

{{- define "bao-backup.labels" -}}
{{ include "bao-backup.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- define "bao-backup.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "bao-backup.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The managers' image; a digest wins over a tag. */}}
{{- define "bao-backup.image" -}}
{{- $repository := required "image.repository: name the registry and repository that you pushed the image to (deploy/Containerfile)" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What the manager may do with each namespace that it looks after. No verb on Secrets, ever. */}}
{{- define "bao-backup.rules" -}}
- apiGroups: [openbao.org]
  resources: [openbaoclusters]
  verbs: [get, list, watch, patch]
- apiGroups: [openbao.org]
  resources: [openbaoclusters/status]
  verbs: [patch]
- apiGroups: [openbao.org]
  resources: [openbaorestores]
  verbs: [get, list, watch]
- apiGroups: [openbao.org]
  resources: [openbaorestores/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Why a run ended, or did not start.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]
# Those of the runs.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, patch]
{{- end -}}
