# store: s3://backups/openbao/prod/ of openbao/prod, for backup
# - There is no retention, so nothing may be deleted: a body that turns out wrong after its upload
#   is reported, and stays without a receipt.
# - The role of a machine or of a task of ECS takes the same policy; who trusts it is another.
# fill in <ACCOUNT>: the number of the AWS account
# fill in <ROLE>: the IAM role of the runs
# fill in <EKS-CLUSTER>: the name of the EKS cluster

# 1. Who may take on the role, by EKS Pod Identity: pods of this ServiceAccount.
cat > store-trust.json <<'END'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Service": "pods.eks.amazonaws.com"
      },
      "Action": [
        "sts:AssumeRole",
        "sts:TagSession"
      ],
      "Condition": {
        "StringEquals": {
          "aws:RequestTag/kubernetes-namespace": "openbao",
          "aws:RequestTag/kubernetes-service-account": "prod-backup-serviceaccount"
        }
      }
    }
  ]
}
END
aws iam create-role --role-name '<ROLE>' --assume-role-policy-document file://store-trust.json
aws eks create-pod-identity-association --cluster-name '<EKS-CLUSTER>' --namespace openbao \
  --service-account prod-backup-serviceaccount --role-arn 'arn:aws-cn:iam::<ACCOUNT>:role/<ROLE>'

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
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "Resource": "arn:aws-cn:s3:::backups/openbao/prod/*"
    },
    {
      "Sid": "List",
      "Effect": "Allow",
      "Action": [
        "s3:ListBucket"
      ],
      "Resource": "arn:aws-cn:s3:::backups",
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
      "Resource": "arn:aws-cn:s3:::backups"
    }
  ]
}
END
aws iam put-role-policy --role-name '<ROLE>' --policy-name bao-backup-openbao-prod \
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
bao auth enable -path=kubernetes kubernetes
bao write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc

# 3. The role: for this ServiceAccount, and for nobody else. The server asks the API server about
#    each token, so its own ServiceAccount needs the ClusterRole system:auth-delegator; one that
#    runs outside of Kubernetes needs kubernetes_ca_cert and token_reviewer_jwt in its config.
bao write auth/kubernetes/role/r audience=openbao-internal \
  bound_service_account_names=prod-backup-serviceaccount bound_service_account_namespaces=openbao \
  token_policies=bao-backup token_no_default_policy=true token_ttl=240m token_max_ttl=240m

# lifecycle: openbao/prod, for backup
# - There is no retention: everything is kept, and no rule lets anything expire.

# 1. The rules of the bucket. This replaces all that it has: add those that are to stay.
cat > lifecycle.json <<'END'
{
  "Rules": [
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
