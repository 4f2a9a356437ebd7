{{/* Mistakes that lie between two values, where a schema cannot see them; all at once. */}}
{{- define "spark-platform.validate" -}}
{{- $problems := list -}}
{{- $seen := dict -}}
{{- range (include "spark-platform.namespaces" . | fromJsonArray) -}}
{{- if hasKey $seen .name -}}
{{- $problems = append $problems (printf "jobNamespaces names %q twice: merge the two entries into one." .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- if eq .name $.Release.Namespace -}}
{{- $problems = append $problems (printf "jobNamespaces names %q, the release's own namespace: jobs need one of their own, because it is kept when this release is removed." .name) -}}
{{- end -}}
{{- if eq .serviceAccounts.driver.name .serviceAccounts.executor.name -}}
{{- $problems = append $problems (printf "namespace %q: driver and executor have the same service account %q, so executors would hold the driver's rights. Give the executor a name of its own." .name .serviceAccounts.driver.name) -}}
{{- end -}}
{{- $problems = concat $problems (include "spark-platform.quotaProblems" (dict "namespace" . "job" $.Values.smallestJob) | fromJsonArray) -}}
{{- $problems = concat $problems (include "spark-platform.limitProblems" (dict "namespace" . "job" $.Values.smallestJob) | fromJsonArray) -}}
{{- end -}}
{{- range $part := list "templateProblems" "defaultsProblems" "storeProblems" "versionProblems" "serverProblems" -}}
{{- $problems = concat $problems (include (printf "spark-platform.%s" $part) $ | fromJsonArray) -}}
{{- end -}}
{{- with $problems -}}{{- fail (join "\n" .) -}}{{- end -}}
{{- end -}}

{{/* JSON list of sentences: a quota that cannot hold one driver and one executor. */}}
{{- define "spark-platform.quotaProblems" -}}
{{- $problems := list -}}
{{- $namespace := .namespace -}}
{{- $job := .job -}}
{{- if $namespace.quota.enabled -}}
{{- range $resource := list "cpu" "memory" -}}
{{- $have := get $namespace.quota $resource -}}
{{- $driver := get $job.driver $resource -}}
{{- $executor := get $job.executor $resource -}}
{{- $need := addf (include "spark-platform.number" $driver | float64) (include "spark-platform.number" $executor | float64) -}}
{{- if and $have (lt (include "spark-platform.number" $have | float64) $need) -}}
{{- $problems = append $problems (printf "namespace %q: quota.%s %s cannot hold one driver (%s) and one executor (%s), so no job could ever start. Raise the quota, or lower smallestJob if your jobs are smaller." $namespace.name $resource (toString $have) (toString $driver) (toString $executor)) -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey $namespace.quota "pods") (lt (int $namespace.quota.pods) 2) -}}
{{- $problems = append $problems (printf "namespace %q: quota.pods %d cannot hold one driver and one executor. Set 2 or more." $namespace.name (int $namespace.quota.pods)) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{/* JSON list of sentences: limits that refuse one executor, or that refuse their own defaults. */}}
{{- define "spark-platform.limitProblems" -}}
{{- $problems := list -}}
{{- $namespace := .namespace -}}
{{- $job := .job -}}
{{- if $namespace.limitRange.enabled -}}
{{- range $resource, $max := $namespace.limitRange.max -}}
{{- range $role := list "driver" "executor" -}}
{{- $need := get (get $job $role) $resource -}}
{{- if and $need (lt (include "spark-platform.number" $max | float64) (include "spark-platform.number" $need | float64)) -}}
{{- $problems = append $problems (printf "namespace %q: limitRange.max.%s %s is below one %s (%s), which would be refused. Raise it, or lower smallestJob if your jobs are smaller." $namespace.name $resource (toString $max) $role (toString $need)) -}}
{{- end -}}
{{- end -}}
{{- range $field := list "default" "defaultRequest" -}}
{{- $value := get (get $namespace.limitRange $field) $resource -}}
{{- if and $value (gt (include "spark-platform.number" $value | float64) (include "spark-platform.number" $max | float64)) -}}
{{- $problems = append $problems (printf "namespace %q: limitRange.%s.%s %s is above limitRange.max.%s %s. Lower the first or raise the second." $namespace.name $field $resource (toString $value) $resource (toString $max)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $resource, $request := $namespace.limitRange.defaultRequest -}}
{{- $limit := get $namespace.limitRange.default $resource -}}
{{- if and $limit (gt (include "spark-platform.number" $request | float64) (include "spark-platform.number" $limit | float64)) -}}
{{- $problems = append $problems (printf "namespace %q: limitRange.defaultRequest.%s %s is above limitRange.default.%s %s, the limit of the same container. Lower the first or raise the second." $namespace.name $resource (toString $request) $resource (toString $limit)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
