package simulate

// users are the users of the internet by country, in millions. They are
// approximate and rounded to about two digits: population times the share of it
// that uses the internet, after what the United Nations (World Population
// Prospects) and the International Telecommunication Union (individuals using the
// internet, which the World Bank repeats) have published for about 2023. Where
// neither says anything, mostly of small territories, it is a guess from
// neighbours. Together they are some 5.3 billion.
//
// Single figures may be off by a tenth, a few by more. What is made of them is a
// mix of clients of the right order, where no better one is at hand.
var users = map[string]float64{
	"AD": 0.08, "AE": 10.5, "AF": 7.6, "AG": 0.09, "AI": 0.01, "AL": 2.3, "AM": 2.2, "AO": 14, "AR": 41, "AS": 0.02,
	"AT": 8.7, "AU": 26, "AW": 0.1, "AX": 0.03, "AZ": 9.1,
	"BA": 2.7, "BB": 0.23, "BD": 77, "BE": 11.2, "BF": 4, "BG": 5.2, "BH": 1.5, "BI": 1.5, "BJ": 4.4, "BL": 0.01,
	"BM": 0.06, "BN": 0.45, "BO": 8.7, "BQ": 0.02, "BR": 181, "BS": 0.39, "BT": 0.69, "BW": 2.1, "BY": 8.5, "BZ": 0.29,
	"CA": 37.6, "CD": 28, "CF": 0.5, "CG": 2.3, "CH": 8.6, "CI": 11.8, "CK": 0.01, "CL": 18.5, "CM": 12, "CN": 1090,
	"CO": 40, "CR": 4.4, "CU": 8, "CV": 0.44, "CW": 0.13, "CX": 0.001, "CY": 1.1, "CZ": 9.4,
	"DE": 77, "DJ": 0.74, "DK": 5.9, "DM": 0.06, "DO": 9.6, "DZ": 34,
	"EC": 13.2, "EE": 1.3, "EG": 81, "EH": 0.2, "ER": 0.8, "ES": 46, "ET": 21,
	"FI": 5.2, "FJ": 0.79, "FK": 0.003, "FM": 0.05, "FO": 0.05, "FR": 59,
	"GA": 1.8, "GB": 66, "GD": 0.1, "GE": 3.1, "GF": 0.2, "GG": 0.06, "GH": 24, "GI": 0.03, "GL": 0.05, "GM": 1.3,
	"GN": 3.8, "GP": 0.3, "GQ": 1, "GR": 8.8, "GT": 9.9, "GU": 0.14, "GW": 0.7, "GY": 0.66,
	"HK": 7.2, "HN": 6.2, "HR": 3.2, "HT": 4.6, "HU": 8.8,
	"ID": 194, "IE": 5.1, "IL": 8.9, "IM": 0.08, "IN": 800, "IQ": 37, "IR": 72, "IS": 0.39, "IT": 51,
	"JE": 0.1, "JM": 2.3, "JO": 10.5, "JP": 106,
	"KE": 19, "KG": 6.2, "KH": 10.3, "KI": 0.1, "KM": 0.3, "KN": 0.04, "KP": 0.02, "KR": 50.4, "KW": 4.8, "KY": 0.07,
	"KZ": 18.6,
	"LA": 4.9, "LB": 4.8, "LC": 0.14, "LI": 0.04, "LK": 11, "LR": 1.3, "LS": 1.1, "LT": 2.5, "LU": 0.66, "LV": 1.7,
	"LY": 6.4,
	"MA": 34.4, "MC": 0.04, "MD": 2, "ME": 0.55, "MF": 0.03, "MG": 6.3, "MH": 0.02, "MK": 1.6, "ML": 8.3, "MM": 31.5,
	"MN": 2.9, "MO": 0.63, "MP": 0.04, "MQ": 0.3, "MR": 1.9, "MS": 0.004, "MT": 0.51, "MU": 0.98, "MV": 0.45, "MW": 3.8,
	"MX": 105, "MY": 34, "MZ": 6.7,
	"NA": 1.8, "NC": 0.24, "NE": 6.1, "NF": 0.001, "NG": 88, "NI": 4, "NL": 17.4, "NO": 5.5, "NP": 16.5, "NR": 0.01,
	"NU": 0.001, "NZ": 5,
	"OM": 4.8,
	"PA": 3.4, "PE": 27, "PF": 0.2, "PG": 2.5, "PH": 96, "PK": 68, "PL": 32, "PM": 0.005, "PR": 2.8, "PS": 4.5,
	"PT": 9.1, "PW": 0.01, "PY": 5.3,
	"QA": 3,
	"RE": 0.7, "RO": 17, "RS": 5.6, "RU": 133, "RW": 4.8,
	"SA": 33, "SB": 0.34, "SC": 0.1, "SD": 14, "SE": 10.1, "SG": 5.6, "SH": 0.003, "SI": 1.9, "SJ": 0.002, "SK": 4.8,
	"SL": 1.7, "SM": 0.03, "SN": 10.8, "SO": 5, "SR": 0.49, "SS": 1.4, "ST": 0.14, "SV": 4.3, "SX": 0.04, "SY": 8.5,
	"SZ": 0.7,
	"TC": 0.04, "TD": 2.4, "TG": 3.4, "TH": 64, "TJ": 5.9, "TK": 0.001, "TL": 0.47, "TM": 2, "TN": 9.5, "TO": 0.06,
	"TR": 73, "TT": 1.1, "TV": 0.01, "TW": 21.5, "TZ": 19.5,
	"UA": 31, "UG": 7.3, "US": 312, "UY": 3.1, "UZ": 32,
	"VA": 0.001, "VC": 0.08, "VE": 17.5, "VG": 0.03, "VI": 0.07, "VN": 78, "VU": 0.15,
	"WF": 0.005, "WS": 0.14,
	"XK": 1.6,
	"YE": 7, "YT": 0.15,
	"ZA": 48, "ZM": 6.8, "ZW": 6.3,
}
