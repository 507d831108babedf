# A login by key, which sshd's unprivileged child negotiates behind its filter, and one refused. $D: a directory.
mkdir -p "$D/ssh" /run/sshd
cd "$D/ssh"
chmod 700 .
for key in host key other; do
	ssh-keygen -q -t ed25519 -N '' -f $key
done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf '%s\n' "Port $port" 'ListenAddress 127.0.0.1' "HostKey $PWD/host" "AuthorizedKeysFile $PWD/key.pub" \
	'StrictModes no' "PidFile $PWD/pid" 'UsePAM no' 'PermitRootLogin yes' >conf
/usr/sbin/sshd -D -f "$PWD/conf" 2>log &
server=$!
until [ -s pid ]; do
	kill -0 $server || exit 4
	sleep 0.02
done
for key in key other; do
	ssh -F none -i $key -p $port -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1 \
		'id -un; head -c 300000 /dev/zero | cksum; exit 7'
	echo $?
done
while pgrep -P $server >/dev/null; do
	sleep 0.02
done
kill $server
wait $server
grep -c Accepted log
grep -c -e fatal -e error log
cd ..
rm -r ssh
exit 3
