# store: s3://backups/it's all/openbao/prod/ of openbao/prod, for backup
# - The key's own policy must leave it to IAM who uses the key, or name the role, too.
# fill in <USER>: the user whose keys the runs have

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
        "s3:ListMultipartUploadParts",
        "s3:PutObjectTagging"
      ],
      "Resource": "arn:aws:s3:::backups/it's all/openbao/prod/*"
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
            "it's all/openbao/prod/*"
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
    },
    {
      "Sid": "Encryption",
      "Effect": "Allow",
      "Action": [
        "kms:GenerateDataKey",
        "kms:Decrypt"
      ],
      "Resource": "arn:aws:kms:us-east-1:*:key/1234-abcd",
      "Condition": {
        "StringLike": {
          "kms:ViaService": "s3.us-east-1.amazonaws.com"
        }
      }
    }
  ]
}
END
aws iam put-user-policy --user-name '<USER>' --policy-name bao-backup-openbao-prod \
  --policy-document file://store-policy.json

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
bao auth enable -path=approle approle

# 3. The role.
bao write auth/approle/role/bao-backup token_policies=bao-backup token_no_default_policy=true \
  token_ttl=240m token_max_ttl=240m

# 4. What the run logs in with: the files of its Secret, then remove them.
umask 077
bao read -field=role_id auth/approle/role/bao-backup/role-id > role_id
bao write -f -field=secret_id auth/approle/role/bao-backup/secret-id > secret_id

# lifecycle: openbao/prod, for backup
# - No rule can say maxCount 7 for ordinary backups: rules do not count.
# - No rule can say minKeep 3 for ordinary backups.
# - Rules know whole days: maxAge 25h is rounded up.
# - WARNING: a rule never keeps the last good backup. When backups fail for as long as maxAge, it
#   removes the last ones. The retention of bao-backup does not: prefer it, and let a rule be later.
# - Where the bucket keeps versions, what expires stays as an old version: another rule has to
#   remove those.

# 1. The rules of the bucket. This replaces all that it has: add those that are to stay.
cat > lifecycle.json <<'END'
{
  "Rules": [
    {
      "ID": "bao-backup-openbao-prod",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "it's all/openbao/prod/20"
      },
      "Expiration": {
        "Days": 2
      }
    },
    {
      "ID": "bao-backup-openbao-prod-abandoned",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "it's all/openbao/prod/"
      },
      "AbortIncompleteMultipartUpload": {
        "DaysAfterInitiation": 1
      }
    }
  ]
}
END
aws s3api put-bucket-lifecycle-configuration --bucket backups --lifecycle-configuration \
  file://lifecycle.json
