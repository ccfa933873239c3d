# store: the container backups of openbao/prod, for backup
# - The container is the smallest scope of a role: clusters that must not see one another's backups
#   need a container each.
# - An account's key may do anything, and no role limits it; a signature has rights of its own:
#   racwl, with retention racwdl.
# fill in <SUBSCRIPTION>: the id of the Azure subscription
# fill in <RESOURCE-GROUP>: the resource group of the storage account
# fill in <PRINCIPAL>: the object id of the runs' identity: az identity show --query principalId
# fill in <IDENTITY>: the name of the runs' managed identity

# 1. The role. (Where no role may be made: Storage Blob Data Contributor, which may do more.)
cat > store-role.json <<'END'
{
  "Name": "bao-backup-openbao-prod",
  "Description": "bao-backup: backup of openbao/prod",
  "IsCustom": true,
  "Actions": [],
  "NotActions": [],
  "DataActions": [
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete"
  ],
  "NotDataActions": [],
  "AssignableScopes": [
    "/subscriptions/<SUBSCRIPTION>"
  ]
}
END
az role definition create --role-definition @store-role.json

# 2. At this container, for the identity of the runs.
az role assignment create --role bao-backup-openbao-prod --scope \
  '/subscriptions/<SUBSCRIPTION>/resourceGroups/<RESOURCE-GROUP>/providers/Microsoft.Storage/storageAccounts/acme/blobServices/default/containers/backups' \
  --assignee-object-id '<PRINCIPAL>' --assignee-principal-type ServicePrincipal

# 3. With Azure Workload Identity: tokens of this ServiceAccount count as the managed identity.
az identity federated-credential create --name bao-backup-openbao-prod --identity-name \
  '<IDENTITY>' --resource-group '<RESOURCE-GROUP>' --issuer \
  https://oidc.eks.eu-central-1.amazonaws.com/id/ABC --subject \
  system:serviceaccount:openbao:prod-backup-serviceaccount --audiences api://AzureADTokenExchange

# server: openbao/prod, for backup
# - In the root namespace, by somebody who may write policies and roles. With Vault: vault in place
#   of bao, the rest is the same.
# - The policy default is not needed: what a run uses of it is in this policy, and tokens are given
#   out without default. Whoever can read a snapshot and has the unseal keys has all secrets.

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
bao write auth/jwt-operator/config \
  oidc_discovery_url=https://oidc.eks.eu-central-1.amazonaws.com/id/ABC \
  bound_issuer=https://oidc.eks.eu-central-1.amazonaws.com/id/ABC

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
# fill in <RESOURCE-GROUP>: the resource group of the storage account

# 1. The rules of the account. This replaces all that it has: add those that are to stay.
cat > lifecycle.json <<'END'
{
  "rules": [
    {
      "enabled": true,
      "name": "bao-backup-openbao-prod",
      "type": "Lifecycle",
      "definition": {
        "actions": {
          "baseBlob": {
            "delete": {
              "daysAfterModificationGreaterThan": 30
            }
          }
        },
        "filters": {
          "blobTypes": [
            "blockBlob"
          ],
          "prefixMatch": [
            "backups/openbao/prod/20"
          ]
        }
      }
    }
  ]
}
END
az storage account management-policy create --account-name acme --resource-group \
  '<RESOURCE-GROUP>' --policy @lifecycle.json
