import { returnFromPopup } from './quickbooks.js';

returnFromPopup();
