/* Preloaded, it makes each fsync take FSYNC_SECONDS longer. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void be_slow(void)
{
    double seconds = atof(getenv("FSYNC_SECONDS"));
    struct timespec left = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left))
        ;
}

int fsync(int file)
{
    be_slow();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    be_slow();
    return (int)syscall(SYS_fdatasync, file);
}
