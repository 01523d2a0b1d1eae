import { frameworkAdapterConformance } from '../conformance/framework-adapter.ts';
import { openCrabFixture } from '../unit/crab/crab-fixture.ts';

frameworkAdapterConformance('CRAB', openCrabFixture);
