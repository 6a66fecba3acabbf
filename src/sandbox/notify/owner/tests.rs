//! Ownership as programs see it: coreutils, tar, perl and others under a filter that answers them.

use crate::sandbox::notify::owner::record::Owner;
use crate::sandbox::notify::trial::shell;

/// Compares what `script` prints, run by an emulated root in a folder of its own, with `expected`,
/// line by line.
fn check(script: &str, expected: &str) {
    // The supervisor stands outside of the tests' namespace, so it must be root.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (got, _) = shell(folder.path(), script);
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(got.lines().collect::<Vec<_>>(), expected, "{script}");
}

#[test]
fn files_are_given_away_and_seen_so() {
    check(
        "touch a; chown 5:6 a; stat -c %u:%g a
         chown :9 a; stat -c %u:%g a; mv a b; ln b c; stat -c %u:%g c
         mkdir d; ln -s x d/l; chown -hR 7 d; stat -c %u:%g d d/l
         mkfifo f; chown 1:1 f; stat -c %u:%g f; chown 0:0 b; stat -c %u:%g b",
        "5:6\n5:9\n5:9\n7:0\n7:0\n1:1\n0:0",
    );
}

#[test]
fn paths_are_the_processs_own() {
    check(
        "mkdir -p a/b; touch a/b/f t; ln -s ../../t a/b/l; ln -s $PWD/t a/abs
         cd a/b; chown 3 ../../t; stat -Lc %u l ../abs ../../t ../../../../../../../../../../$OLDPWD/t
         chown 4 l; stat -c %u l ../../t
         chown -h 6 l; stat -c %u l ../../t
         exec 7<../../t; stat -Lc %u /dev/fd/7 /proc/self/fd/7
         cd ../..; mkdir -p r/in; cp t r/in/f; chown 8 r/in/f
         perl -e 'chroot q(r) or die; chdir q(/in); print +(stat q(/in/f))[4], (stat q(f))[4],
             (stat q(../../../in/f))[4]'; echo
         stat -c %u missing/x f/",
        "3\n3\n3\n3\n0\n4\n6\n4\n4\n4\n888
         stat: cannot statx 'missing/x': No such file or directory
         stat: cannot statx 'f/': No such file or directory",
    );
}

#[test]
fn a_change_drops_what_the_kernel_drops() {
    check(
        "touch a d; chmod 6755 a; chown 1 a; stat -c '%a %u' a; chmod 6755 a; stat -c '%a %u' a
         chown 1 missing || chown 1 a/x; perl -e 'chown 1, 1, q() or print qq($!\n)'",
        "755 1\n6755 1
         chown: cannot access 'missing': No such file or directory
         chown: cannot access 'a/x': Not a directory
         No such file or directory",
    );
}

#[test]
fn identities_are_taken_kept_and_not_left() {
    check(
        "id -u; id -g; id -G
         setpriv --reuid 5 --regid 6 --groups 7,8 bash -c 'id -u; id -g; id -G; (id -u & wait)
             setpriv --reuid 0 id -u; chown 5 . || echo no'
         setpriv --reuid 5 --clear-groups bash -c 'bash -c \"sleep 0.1; id -u >late\" & disown'
         for n in {1..1000}; do [ -s late ] && break; sleep 0.01; done; cat late; stat -c %u late
         perl -e '$> = 5; print \"$> $<\\n\"; $> = 0; print \"$>\\n\"; $< = $> = 9; $> = 0; print \"$> $<\\n\"'",
        "0\n0\n0\n5\n6\n6 7 8\n5
         setpriv: setresuid failed: Operation not permitted
         chown: changing ownership of '.': Operation not permitted\nno
         5\n5\n5 0\n0\n9 9",
    );
}

#[test]
fn what_a_user_makes_is_its_own() {
    check(
        "umask 027; setpriv --reuid 5 --regid 6 --clear-groups bash -c '
             echo x >f; echo y >>f; mkdir d; ln -s t l; mkfifo p; set -C; echo z >f; cat f
             perl -e \"open my \\$f, q(>), q(g); chmod 0600, q(g)\"'
         stat -c '%n %u:%g %a' f d l p g
         mkdir s; chown 1:2 s; chmod 2775 s; mkdir s/d; touch s/f; ln -s x s/l
         stat -c '%n %u:%g %a' s/d s/f s/l; ls",
        "bash: line 2: f: cannot overwrite existing file\nx\ny
         f 5:6 640\nd 5:6 750\nl 5:6 777\np 5:6 640\ng 5:6 600
         s/d 0:2 2750\ns/f 0:2 640\ns/l 0:2 777\nd\nf\ng\nl\np\ns",
    );
}

#[test]
fn programs_run_as_their_owner() {
    check(
        "cp /usr/bin/id me; chown 3:4 me; chmod 6755 me
         setpriv --reuid 5 --regid 6 --clear-groups bash -c './me -ru; ./me -u; ./me -rg; ./me -g'
         printf '#!/bin/sh\nid -u\n' >script; chmod 4755 script
         setpriv --reuid 5 --regid 6 --clear-groups ./script",
        "5\n3\n6\n4\n5",
    );
}

#[test]
fn devices_are_made_and_seen() {
    check(
        "umask 0; mknod c c 1 3; mknod -m 640 b b 8 300; stat -c '%F %t:%T %a' c b
         [ -c c ] && echo yes; chown 1:5 b; stat -c '%F %u:%g' b
         setpriv --reuid 5 mknod x c 1 3",
        "character special file 1:3 666\nblock special file 8:12c 640\nyes
         block special file 1:5\nmknod: x: Operation not permitted",
    );
}

#[test]
fn copies_and_archives_keep_owners() {
    check(
        "mkdir a; touch a/f; ln -s f a/l; chown -hR 5:6 a; cp -a a b; cp -r a c; cp --preserve=xattr a/f g
         stat -c '%n %u:%g' b b/f b/l c c/f g
         tar cf t a; rm -r a; tar xpf t; stat -c '%n %u:%g' a a/f a/l; tar --numeric-owner -tvf t | cut -d' ' -f2 | uniq
         install -d -o 8 -g 9 i; install -o 8 -g 9 -m 4750 g i/g; stat -c '%u:%g %a' i i/g
         getfattr -d -m - a/f; setfattr -n user.x -v 1 a/f; getfattr -d -m - a/f
         tar --xattrs --xattrs-include='*' -cpf t a; mkdir e; tar --xattrs --xattrs-include='*' -xpf t -C e
         getfattr -d -m - e/a/f; stat -c '%u:%g' e/a/f; cp --preserve=all e/a/f k && stat -c '%u:%g' k",
        "b 5:6\nb/f 5:6\nb/l 5:6\nc 0:0\nc/f 0:0\ng 0:0
         a 5:6\na/f 5:6\na/l 5:6\n5/6
         8:9 755\n8:9 4750
         # file: a/f\nuser.x=\"1\"
         \n# file: e/a/f\nuser.x=\"1\"\n\n5:6\n5:6",
    );
}

#[test]
fn links_are_in_the_table_at_the_end() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "ln -s x l; chown -h 5:6 l; ln -s y gone; chown -h 7 gone; rm gone";
    let (printed, table) = shell(folder.path(), script);
    assert_eq!(printed, "");
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW;
    let link = rustix::fs::open(folder.path().join("l"), flags, rustix::fs::Mode::empty());
    let inode = super::record::inode(std::os::fd::AsFd::as_fd(&link.unwrap())).unwrap();
    assert_eq!(table.get(&inode), Some(Owner { uid: 5, gid: 6 }));
}

#[test]
fn what_is_denied_fails() {
    check(
        "for call in 'unshare(0x10000000)' 'mount(0,0,0,0,0)' 'keyctl(0,0)' 'clone3(0,0)' \\
             'ptrace(0,0,0,0)' 'io_uring_setup(1,0)' 'personality(0xffffffff)' 'personality(0x40000)' 'personality(0x400000)'
         do gcc -w -o call -xc - <<< '#include <errno.h>
             #include <stdio.h>
             #include <sys/syscall.h>
             #include <unistd.h>
             #define CALL(name, ...) syscall(SYS_##name, __VA_ARGS__)
             int main() { errno = 0; long r = CALL('\"${call/(/,}\"'; printf(\"%d\\n\", errno); }'
            ./call; done",
        "1\n1\n1\n38\n0\n1\n0\n0\n1",
    );
}

#[test]
fn servers_know_their_users() {
    check(
        r#"perl -e 'use Socket; socket S, AF_UNIX, SOCK_STREAM, 0; bind S, pack_sockaddr_un("s") or die;
           listen S, 5;
           for my $id (0, 7) {
               my $child = fork // die;
               if (!$child) {
                   ($), $() = ($id, $id); ($<, $>) = ($id, $id);
                   socket C, AF_UNIX, SOCK_STREAM, 0; connect C, pack_sockaddr_un("s") or die;
                   sysread C, my $end, 1; exit
               }
               accept A, S; my ($pid, @ids) = unpack "l3", getsockopt A, SOL_SOCKET, 17;
               print $pid == $child ? "child" : "other", " @ids\n"; close A; wait
           }'"#,
        "child 0 0\nchild 7 7",
    );
}
