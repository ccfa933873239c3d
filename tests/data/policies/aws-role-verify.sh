# store: s3://backups/openbao/prod/ of openbao/prod, for verify
# - Writing and deleting is for receipts alone: verify writes those of unproven backups and
#   withdraws those of broken ones. To list, show and download, take the part Receipts away.
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
        "s3:GetObject"
      ],
      "Resource": "arn:aws:s3:::backups/openbao/prod/*"
    },
    {
      "Sid": "Receipts",
      "Effect": "Allow",
      "Action": [
        "s3:PutObject",
        "s3:DeleteObject"
      ],
      "Resource": "arn:aws:s3:::backups/openbao/prod/*.snap.json"
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
    }
  ]
}
END
aws iam put-user-policy --user-name '<USER>' --policy-name bao-verify-openbao-prod \
  --policy-document file://store-policy.json

# server: openbao/prod, for verify
# - Nothing is needed: verify, list, show and download never ask the server.

# lifecycle: openbao/prod, for verify
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
