import type { RunningContext } from "./running-check.ts";
import { type Finding, notApplicable, notRun } from "../finding.ts";
import { unlessBusy } from "./busy-machine.ts";
import type { Container } from "./container.ts";
import { CannotRun, DidNotStart, type Session } from "./session.ts";

export type ContainerCheck = (container: Container, session: Session) => Promise<Finding>;

/** Asks the container that all checks share. */
export function whenRunning(context: RunningContext, check: ContainerCheck): Promise<Finding> {
  return guarded(context, async (session) => check(await session.shared(), session));
}

/** Gives a container that answers to one check, which may do to it what it likes. */
export function withFresh(context: RunningContext, check: ContainerCheck): Promise<Finding> {
  return guarded(context, async (session) => {
    // An image that does not come up is waited for once.
    await session.shared();
    const container = await session.fresh();
    try {
      return await check(container, session);
    } finally {
      await container.end();
    }
  });
}

/** What can't be tried is not run; of images that are there to be built on, there is nothing to try. */
export async function guarded(
  { session, contract }: RunningContext,
  check: (session: Session) => Promise<Finding>,
): Promise<Finding> {
  if (contract.role === "base") return notApplicable("a base image starts nothing of its own");
  try {
    return await unlessBusy(await check(session), session.takenByOthers);
  } catch (error) {
    if (error instanceof DidNotStart) return notRun("it did not start");
    if (error instanceof CannotRun) return notRun(error.message);
    throw error;
  }
}
