import type { BrokerHand } from './broker-hand.ts';
import type { FrameworkFault, FrameworkFixture, FrameworkOpening } from './fixture.ts';

/** What a case plays with. */
export interface FrameworkStage {
  readonly fixture: FrameworkFixture;
  readonly broker: BrokerHand;
}

/** One promise of a framework's adapter, and how it is tried. */
export interface FrameworkCase {
  /** What holds; names the case. */
  readonly title: string;
  readonly opening?: FrameworkOpening;
  /** What the framework's wire must be able to do wrong. */
  readonly needs?: readonly FrameworkFault[];
  play(stage: FrameworkStage): Promise<void>;
}
