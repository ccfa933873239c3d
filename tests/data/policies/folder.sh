# store: the folder /srv/backups of openbao/prod, for backup
# - Folders below it get the mode 0750 and files 0640, less the umask; backups belong to whoever
#   made them. A member of the group can read them; verify, list and download need no more.
# - On Kubernetes runs are the user and group 1000, and a volume is made theirs (fsGroup) where its
#   kind can be.

# 1. The folder belongs to who backs up, and nobody else may write there.
install -d -o bao-backup -g bao-backup -m 0750 /srv/backups

# server: openbao/prod, for backup
# - In the root namespace, by somebody who may write policies and roles. With Vault: vault in place
#   of bao, the rest is the same.
# - The policy default is not needed: what a run uses of it is in this policy, and tokens are given
#   out without default. Whoever can read a snapshot and has the unseal keys has all secrets.
# - A token that is configured is not given back, so it needs no right to.

# 1. The policy.
cat > bao-backup.hcl <<'END'
# A snapshot of the whole cluster: read to back up, update to restore.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}

# Asks what this very token may do, before anything is begun.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
END
bao policy write bao-backup bao-backup.hcl

# 2. A token: the file of the run's Secret, then remove it. It ends after 32 days, and nobody renews
#    it: each other way to log in spares one that.
umask 077
bao token create -orphan -no-default-policy -policy=bao-backup -ttl=768h -field=token > token

# lifecycle: openbao/prod, for backup
# - There is no retention: everything is kept, and no rule lets anything expire.
# - A folder has no rules of its own: the retention is done by runs, and by bao-backup prune.
