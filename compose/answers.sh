# The health checks of compose.yaml: answers.sh HOST PORT [PATH WORD]
# Ends with 0 if the port takes connections and, with a path, the answer to a GET has the word. The images have neither
# curl nor wget in common, but bash, which can connect by itself.
set -euo pipefail
exec 3<>"/dev/tcp/$1/$2"
[ $# -gt 2 ] || exit 0
printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&3
answer=$(cat <&3)
[[ $answer == *"$4"* ]]
