# store: s3://backups/openbao/prod/ of openbao/prod, for backup

# 1. Who may take on the role: this ServiceAccount, by the token that its pods have for AWS.
cat > store-trust.json <<'END'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "oidc.eks.eu-central-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
          "oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:openbao:prod-backup-serviceaccount"
        }
      }
    }
  ]
}
END
aws iam create-role --role-name bao --path /backups/ --assume-role-policy-document \
  file://store-trust.json

# 2. What the role may do.
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
      "Resource": "arn:aws:s3:::backups/openbao/prod/*"
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
            "openbao/prod/*"
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
aws iam put-role-policy --role-name bao --policy-name bao-backup-openbao-prod --policy-document \
  file://store-policy.json

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

# 1. The rules of the bucket. This replaces all that it has: add those that are to stay.
cat > lifecycle.json <<'END'
{
  "Rules": [
    {
      "ID": "bao-backup-openbao-prod",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "openbao/prod/20"
      },
      "Expiration": {
        "Days": 30
      }
    },
    {
      "ID": "bao-backup-openbao-prod-abandoned",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "openbao/prod/"
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
