// Queues, shared memory and semaphores: numbers and times.

#include "probe.h"
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *path) {
    char text[4096];
    int from = open(path, O_RDONLY);
    long count = from < 0 ? -1 : read(from, text, sizeof text);
    if (count < 0)
        say_result(way("with queues, %s", path), -1);
    else
        say_bytes(way("with queues, %s", path), text, count);
    if (from >= 0)
        close(from);
}

void queues(void) {
    struct {
        long kind;
        char text[8];
    } message = {1, "text"};
    struct msqid_ds of_queue;
    int queue = msgget(IPC_PRIVATE, 0600);
    say_result("msgget", queue);
    say_result("msgsnd", msgsnd(queue, &message, 5, 0));
    say_result("msgrcv", msgrcv(queue, &message, 5, 0, 0));
    memset(&of_queue, 0, sizeof of_queue);
    say_result("msgctl", msgctl(queue, IPC_STAT, &of_queue));
    say("msgctl, times", "%ld %ld %ld", (long)of_queue.msg_stime, (long)of_queue.msg_rtime, (long)of_queue.msg_ctime);
    say("msgctl, processes", "%d %d", of_queue.msg_lspid, of_queue.msg_lrpid);
    int memory = shmget(IPC_PRIVATE, 4096, 0600);
    say_result("shmget", memory);
    void *at = shmat(memory, 0, 0);
    say("shmat", "%p", at);
    struct shmid_ds of_memory;
    memset(&of_memory, 0, sizeof of_memory);
    shmdt(at);
    say_result("shmctl", shmctl(memory, IPC_STAT, &of_memory));
    say("shmctl, times", "%ld %ld %ld", (long)of_memory.shm_atime, (long)of_memory.shm_dtime, (long)of_memory.shm_ctime);
    struct shminfo bounds;
    memset(&bounds, 0, sizeof bounds);
    shmctl(0, IPC_INFO, (struct shmid_ds *)&bounds);
    say("shmctl, bounds", "%lu %lu %lu", bounds.shmmax, bounds.shmmni, bounds.shmall);
    int lights = semget(IPC_PRIVATE, 1, 0600);
    say_result("semget", lights);
    struct sembuf up = {0, 1, 0};
    semop(lights, &up, 1);
    struct semid_ds of_lights;
    memset(&of_lights, 0, sizeof of_lights);
    say_result("semctl", semctl(lights, 0, IPC_STAT, &of_lights));
    say("semctl, times", "%ld %ld", (long)of_lights.sem_otime, (long)of_lights.sem_ctime);
    show("/proc/sysvipc/msg");
    show("/proc/sysvipc/sem");
    show("/proc/sysvipc/shm");
    msgctl(queue, IPC_RMID, 0);
    shmctl(memory, IPC_RMID, 0);
    semctl(lights, 0, IPC_RMID);
    int named = mq_open("/probe", O_RDWR | O_CREAT, 0600, 0);
    say_result("mq_open", named < 0 ? -1 : 0);
    struct mq_attr bounds_of_queue = {0};
    mq_getattr(named, &bounds_of_queue);
    say("mq_getattr", "%ld %ld", bounds_of_queue.mq_maxmsg, bounds_of_queue.mq_msgsize);
    struct stat found = {0};
    fstat(named, &found);
    say("mtime, mq", "%ld.%09ld", (long)found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
    say("inode, mq", "%lu", (unsigned long)found.st_ino);
    mq_unlink("/probe");
}
