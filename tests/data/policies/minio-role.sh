# store: s3://backups/bao/openbao/prod/ of openbao/prod, for backup
# - In MinIO's form. Another store that takes policies of IAM takes the same document; how it is
#   given to it, its own documentation says. Where such a store denies what is not there, as Ceph
#   did until 2026, the condition of List has to go.
# fill in <ALIAS>: what mc calls the server (mc alias list)

# 1. What the role may do. The role is given its policies, with commas between them, where MinIO is
#    told of the issuer: MINIO_IDENTITY_OPENID_ROLE_POLICY=bao-backup-openbao-prod,
#    MINIO_IDENTITY_OPENID_CLIENT_ID=sts.amazonaws.com.
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
      "Resource": "arn:aws:s3:::backups/bao/openbao/prod/*",
      "Condition": {
        "StringEquals": {
          "jwt:sub": "system:serviceaccount:openbao:prod-backup-serviceaccount"
        }
      }
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
        },
        "StringEquals": {
          "jwt:sub": "system:serviceaccount:openbao:prod-backup-serviceaccount"
        }
      }
    },
    {
      "Sid": "Leftovers",
      "Effect": "Allow",
      "Action": [
        "s3:ListBucketMultipartUploads"
      ],
      "Resource": "arn:aws:s3:::backups",
      "Condition": {
        "StringEquals": {
          "jwt:sub": "system:serviceaccount:openbao:prod-backup-serviceaccount"
        }
      }
    }
  ]
}
END
mc admin policy create '<ALIAS>' bao-backup-openbao-prod store-policy.json

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
# fill in <ALIAS>: what mc calls the server (mc alias list)

# 1. The rules of the bucket, for MinIO's client; the same as XML, for others. This replaces all
#    that it has: add those that are to stay.
cat > lifecycle.json <<'END'
{
  "Rules": [
    {
      "ID": "bao-backup-openbao-prod",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "bao/openbao/prod/20"
      },
      "Expiration": {
        "Days": 30
      }
    },
    {
      "ID": "bao-backup-openbao-prod-pre-upgrade",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "bao/openbao/prod/pre-upgrade-"
      },
      "Expiration": {
        "Days": 90
      }
    }
  ]
}
END
cat > lifecycle.xml <<'END'
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Rule>
    <ID>bao-backup-openbao-prod</ID>
    <Status>Enabled</Status>
    <Filter><Prefix>bao/openbao/prod/20</Prefix></Filter>
    <Expiration><Days>30</Days></Expiration>
  </Rule>
  <Rule>
    <ID>bao-backup-openbao-prod-pre-upgrade</ID>
    <Status>Enabled</Status>
    <Filter><Prefix>bao/openbao/prod/pre-upgrade-</Prefix></Filter>
    <Expiration><Days>90</Days></Expiration>
  </Rule>
</LifecycleConfiguration>
END
mc ilm rule import '<ALIAS>/backups' < lifecycle.json

# 2. Abandoned uploads: MinIO has no rule for them, and removes them by itself, after a day by
#    default.
mc admin config set '<ALIAS>' api stale_uploads_expiry=24h
