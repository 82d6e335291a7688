# Runs one server, on orders from standard input, until that input ends.
#
#   sh supervisor.sh DIRECTORY LAST-SIGNAL COMMAND...
#
# The input is a pipe whose other end only the test process holds. However that process ends, even
# by SIGKILL, the pipe ends with it: then the server gets LAST-SIGNAL and DIRECTORY is removed.

dir=$1
last=$2
shift 2
pid=

# An answer to a test that is gone must not end us before the cleaning up.
trap : PIPE
# Nor must the hang-up that a process group gets when it loses its last outside parent while one
# of its processes is frozen. Ignored and not caught, so that it cannot interrupt the `wait` below.
trap '' HUP

# The server and all that it started: backends of PostgreSQL, processes of a browser. They may
# be in sessions of their own, so a process group would not hold them.
family() {
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        family "$child"
    done
}

# To the parent first: one that is frozen starts no further children.
signal_family() {
    [ -n "$pid" ] || return 0
    kill -"$1" "$pid"
    kill -"$1" $(family "$pid")
}

while read -r order rest; do
    case $order in
    start)
        # Arguments without spaces, or none.
        "$@" $rest </dev/null >>"$dir/log" 2>&1 &
        pid=$!
        echo "$pid"
        ;;
    stop)
        status=0
        if [ -n "$pid" ]; then
            signal_family CONT
            kill -"$rest" "$pid"
            wait "$pid"
            status=$?
            pid=
        fi
        echo "$status"
        ;;
    signal)
        signal_family "$rest"
        echo signalled
        ;;
    esac
done

if [ -n "$pid" ]; then
    signal_family CONT
    # Listed while the parent still lives: orphans are nobody's children.
    kill -"$last" $(family "$pid")
    wait "$pid"
fi
rm -rf "$dir"
