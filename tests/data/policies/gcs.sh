# store: gs://backups/openbao/prod/ of openbao/prod, for backup
# - Conditions need uniform bucket-level access. Who may list sees the names of the whole bucket,
#   since Google asks for that right at the bucket; a bucket for each cluster keeps them apart.
# - storage.objects.delete is for the retention, and to replace what an earlier start of the same
#   run has left.

# 1. Two roles with these permissions alone.
gcloud iam roles create bao_backup_openbao_prod --project acme --title 'bao-backup, backup' \
  --permissions storage.objects.create,storage.objects.get,storage.objects.delete
gcloud iam roles create baoBackupList --project acme --title 'bao-backup, list' --permissions \
  storage.objects.list

# 2. The first for objects below the prefix; the second for the bucket's names.
cat > store-condition.json <<'END'
{
  "title": "bao-backup-openbao-prod",
  "expression": "resource.name.startsWith(\"projects/_/buckets/backups/objects/openbao/prod/\")"
}
END
gcloud storage buckets add-iam-policy-binding gs://backups --member \
  serviceAccount:bao@acme.iam.gserviceaccount.com --role \
  projects/acme/roles/bao_backup_openbao_prod --condition-from-file=store-condition.json
gcloud storage buckets add-iam-policy-binding gs://backups --member \
  serviceAccount:bao@acme.iam.gserviceaccount.com --role projects/acme/roles/baoBackupList \
  --condition=None

# 3. On GKE: pods of this ServiceAccount are the service account, which
#    target.workloadIdentity.serviceAccountAnnotations names as iam.gke.io/gcp-service-account.
gcloud iam service-accounts add-iam-policy-binding bao@acme.iam.gserviceaccount.com --role \
  roles/iam.workloadIdentityUser --member \
  'serviceAccount:acme.svc.id.goog[openbao/prod-backup-serviceaccount]'

# server: openbao/prod, for backup
# - In the root namespace, by somebody who may write policies and roles. With Vault: vault in place
#   of bao, the rest is the same.
# - The policy default is not needed: what a run uses of it is in this policy, and tokens are given
#   out without default. Whoever can read a snapshot and has the unseal keys has all secrets.
# fill in <ISSUER>: the URL of who issues the runs' tokens: kubectl get --raw
#         /.well-known/openid-configuration | jq -r .issuer (or give --issuer)

# 1. The policy.
cat > bao-backup.hcl <<'END'
# A snapshot of the whole cluster: read to back up, update to restore.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}

# Gives the token back at the end.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# Asks what this very token may do, before anything is begun.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
END
bao policy write bao-backup bao-backup.hcl

# 2. Once for each server; leave it out where this is mounted and configured already.
bao auth enable -path=jwt-operator jwt
bao write auth/jwt-operator/config 'oidc_discovery_url=<ISSUER>' 'bound_issuer=<ISSUER>'

# 3. The role: for this subject's tokens, of this audience, and for nobody else.
bao write auth/jwt-operator/role/bao-backup role_type=jwt user_claim=sub \
  bound_audiences=openbao-internal \
  bound_subject=system:serviceaccount:openbao:prod-backup-serviceaccount token_policies=bao-backup \
  token_no_default_policy=true token_ttl=240m token_max_ttl=240m

# lifecycle: openbao/prod, for backup
# - WARNING: a rule never keeps the last good backup. When backups fail for as long as maxAge, it
#   removes the last ones. The retention of bao-backup does not: prefer it, and let a rule be later.
# - Where the bucket keeps versions, what expires stays as an old version: another rule has to
#   remove those.
# - What a killed run has sent is seen by nobody, and the store drops it after a week by itself.

# 1. The rules of the bucket. This replaces all that it has: add those that are to stay.
cat > lifecycle.json <<'END'
{
  "rule": [
    {
      "action": {
        "type": "Delete"
      },
      "condition": {
        "age": 30,
        "matchesPrefix": [
          "openbao/prod/20"
        ]
      }
    }
  ]
}
END
gcloud storage buckets update gs://backups --lifecycle-file=lifecycle.json
