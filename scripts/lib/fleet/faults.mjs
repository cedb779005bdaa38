// What can happen to a fleet. Each fault gets the stage, the machine that is exchanging and its processes.

export const faults = {
  /** A process is gone; its kernel closes its connections. */
  kill: (_stage, { victims }) => Promise.all(victims.map((victim) => victim.kill())),
  /** A process stands still, and its connections stay open. */
  stop: signal('SIGSTOP'),
  goOn: signal('SIGCONT'),
  cut: (stage, { machine }) => stage.machines[machine].cut(),
  mend: (stage, { machine }) => stage.machines[machine].mend(),
  /** A machine loses its power: nobody says goodbye. */
  async goDark(stage, { machine, victims }) {
    await stage.machines[machine].cut()
    await Promise.all(victims.map((victim) => victim.kill()))
  },
  restart: (stage) => stage.database.restart('fast'),
  restartSlowly: (stage) => stage.database.restart('fast', 2000),
  crash: (stage) => stage.database.restart('immediate'),
  dropLines: (stage) => stage.database.dropLines(),
  failOver: (stage) => stage.database.failOver(),
  /** There is a standby, and it does not hear of what comes. */
  async deafenStandby(stage) {
    await stage.database.addStandby()
    await stage.database.deafenStandby()
  },
}

function signal(name) {
  return async (_stage, { victims }) => {
    for (const victim of victims) victim.signal(name)
  }
}
