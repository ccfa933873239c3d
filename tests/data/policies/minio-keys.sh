# store: s3://backups/bao/openbao/prod/ of openbao/prod, for backup
# - In MinIO's form. Another store that takes policies of IAM takes the same document; how it is
#   given to it, its own documentation says. Where such a store denies what is not there, as Ceph
#   did until 2026, the condition of List has to go.
# fill in <USER>: the user whose keys the runs have
# fill in <ALIAS>: what mc calls the server (mc alias list)

# 1. What the user with the keys may do.
cat > store-policy.json <<'END'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Backups",
      "Effect": "Allow",
      "Action": [
        "s3:PutObject",
        "s3:GetObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "Resource": "arn:aws:s3:::backups/bao/openbao/prod/*"
    },
    {
      "Sid": "List",
      "Effect": "Allow",
      "Action": [
        "s3:ListBucket"
      ],
      "Resource": "arn:aws:s3:::backups",
      "Condition": {
        "StringLike": {
          "s3:prefix": [
            "bao/openbao/prod/*"
          ]
        }
      }
    },
    {
      "Sid": "Leftovers",
      "Effect": "Allow",
      "Action": [
        "s3:ListBucketMultipartUploads"
      ],
      "Resource": "arn:aws:s3:::backups"
    }
  ]
}
END
mc admin policy create '<ALIAS>' bao-backup-openbao-prod store-policy.json
mc admin policy attach '<ALIAS>' bao-backup-openbao-prod --user '<USER>'

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
bao auth enable -path=userpass userpass

# 3. The user, with a password that nobody sees: the files of the run's Secret, then remove them.
umask 077
printf %s bao-backup > username
head -c 32 /dev/urandom | base64 | tr -d '\n' > password
bao write auth/userpass/users/bao-backup password=@password token_policies=bao-backup \
  token_no_default_policy=true token_ttl=240m token_max_ttl=240m

# lifecycle: openbao/prod, for backup
# - No rule can say keepDaily 7: a rule by age would take what these keep. So there is none for
#   ordinary backups, and the retention has to be done by runs or by bao-backup prune.
# fill in <ALIAS>: what mc calls the server (mc alias list)

# 1. Abandoned uploads: MinIO has no rule for them, and removes them by itself, after a day by
#    default.
mc admin config set '<ALIAS>' api stale_uploads_expiry=24h
